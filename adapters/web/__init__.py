"""The pages: for now the front door, which says what this is and where things are."""

from litestar import MediaType, Response, get
from litestar.datastructures import State

PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>院社 Yuanshe</title>
<style>
:root {{ color-scheme: light dark; --accent: #0f766e; }}
@media (prefers-color-scheme: dark) {{ :root {{ --accent: #2dd4bf; }} }}
body {{ font: 16px/1.7 system-ui, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
a {{ color: var(--accent); }} code {{ font-size: .95em; overflow-wrap: anywhere; }} li {{ margin: .25rem 0; }}
</style></head><body>
<main>
<h1>院社 <span lang="en">Yuanshe</span></h1>
<p>医院与社会工作机构之间的医务社会工作转介服务：转介不丢失，有权查询的人随时可见——下一步由谁、做什么、何时之前完成。</p>
<ul>
<li>接口说明（FHIR R4）：<a href="/fhir/metadata"><code>{base}/fhir/metadata</code></a></li>
<li>接入配置（SMART）：<a href="/.well-known/smart-configuration"><code>{base}/.well-known/smart-configuration</code></a></li>
<li>运行状态：<a href="/health/ready"><code>{base}/health/ready</code></a></li>
</ul>
<section lang="en">
<h2>In English</h2>
<p>Medical social work referrals between hospitals and social work agencies: no referral is ever lost, and whoever may ask
sees who must act next, on what, and by when. The links above are the FHIR surface, how programs get in, and the state of
the service.</p>
</section>
</main></body></html>
"""


@get("/", media_type=MediaType.HTML, summary="The front door", include_in_schema=False)
async def front(state: State) -> Response[str]:
    """Say what this is, in Chinese first."""
    page = PAGE.format(base=state.base_url)
    return Response(
        page,
        headers={
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
        },
    )


route_handlers = [front]
