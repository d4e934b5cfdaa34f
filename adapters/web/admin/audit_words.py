"""Lines of the audit in words: what was done, to what, of how many people, how it ended; never whose names."""

from adapters.web.speech import Speech, noted
from service.access.model import AuditLine

ROLES = {
    "referrer": noted("病房转介人员"),
    "social_worker": noted("社工"),
    "supervisor": noted("督导"),
    "coordinator": noted("协调员"),
    "administrator": noted("管理员"),
    "auditor": noted("审计员"),
    "volunteer": noted("志愿者"),
    "hospital": noted("医院程序"),
    "agency": noted("机构程序"),
    "platform": noted("平台程序"),
    "interface": noted("医院 HL7 接口"),
}
"""In which role somebody acted."""
GONE = noted("（名册里已没有）")
NOBODYS = {"system": noted("系统"), "link": noted("凭邮件链接"), "interface": noted("医院 HL7 接口")}
"""Who acted, where it is neither a person nor a program: by kind, and by role."""

ACTIONS = {
    "look": noted("查看"),
    "add": noted("新建"),
    "change": noted("修改"),
    "delete": noted("删除"),
    "do": noted("操作与查询"),
}
"""Kinds of acts, for the filter."""
ACTION_CODES = {"look": ("R",), "add": ("C",), "change": ("U",), "delete": ("D",), "do": ("E",)}
"""The same as FHIR's audit-event-action."""
VERBS = {"R": noted("查看"), "C": noted("新建"), "U": noted("修改"), "D": noted("删除"), "E": noted("操作")}

TYPES = {
    "Patient": noted("患者档案"),
    "Encounter": noted("住院记录"),
    "ServiceRequest": noted("转介"),
    "Task": noted("任务"),
    "Consent": noted("同意书"),
    "Provenance": noted("法定依据"),
    "Communication": noted("消息"),
    "Procedure": noted("服务记录"),
    "Goal": noted("目标"),
    "CarePlan": noted("服务计划"),
    "QuestionnaireResponse": noted("问卷答卷"),
    "Observation": noted("观察"),
    "Condition": noted("诊断"),
    "Binary": noted("文件"),
    "DocumentReference": noted("文件"),
    "AuditEvent": noted("审计记录"),
    "Subscription": noted("订阅"),
    "Organization": noted("机构"),
    "HealthcareService": noted("服务"),
    "PractitionerRole": noted("社工"),
    "RelatedPerson": noted("相关人员"),
    "EpisodeOfCare": noted("个案"),
}
"""What it was done to."""

DID = {
    "sign-in": noted("登录"),
    "token": noted("换取访问令牌"),
    "search": noted("查询"),
    "search-compartment": noted("查询"),
    "history": noted("查看历史"),
    "transaction": noted("提交一组资料"),
    "batch": noted("提交一批请求"),
    "hl7": noted("收到 HL7 消息"),
    "events": noted("收听事件"),
    "export": noted("批量导出"),
    "export-file": noted("下载导出的文件"),
    "notify": noted("向订阅者发送资料"),
    "reveal": noted("查看完整证件号"),
    "page-today": noted("查看首页"),
    "page-referral": noted("查看转介"),
    "page-referrals": noted("查看转介列表"),
    "page-queue": noted("查看队列"),
    "page-cases": noted("查看个案列表"),
    "page-case": noted("查看个案"),
    "page-follow-ups": noted("查看随访列表"),
    "page-follow-up": noted("查看随访"),
    "page-dispatch": noted("查看调度"),
    "page-team": noted("查看团队"),
    "page-search": noted("搜索"),
    "page-refer": noted("填写转介"),
    "page-print": noted("打印"),
    "page-replay": noted("同一表单再次提交（未重复办理）"),
    "page-audit": noted("查看审计"),
    "page-audit-line": noted("查看一条审计记录"),
    "page-audit-chain": noted("核对审计链"),
    "page-audit-export-csv": noted("导出审计（CSV）"),
    "page-audit-export-xlsx": noted("导出审计（XLSX）"),
    "page-hl7": noted("查看 HL7 收件箱"),
    "page-hl7-message": noted("打开 HL7 消息（不含内容）"),
    "page-hl7-show": noted("查看 HL7 消息内容"),
    "page-hl7-mend": noted("更正并应用 HL7 消息"),
    "page-hl7-replay": noted("重放 HL7 消息"),
    "page-hl7-drop": noted("放弃 HL7 消息"),
    "page-hl7-park": noted("HL7 消息仍待处理"),
    "page-delivery": noted("查看一次投递"),
    "page-delivery-resend": noted("重发一次投递"),
    "page-subscription": noted("查看订阅"),
    "page-subscriptions": noted("查看订阅列表"),
    "page-subscription-resend": noted("重发全部未送达"),
    "page-subscription-off": noted("停用订阅"),
    "page-subscription-on": noted("重新启用订阅"),
    "page-capacity": noted("查看名额"),
    "page-capacity-say": noted("确认或修改名额"),
    "page-account": noted("打开账号"),
    "page-account-add": noted("新建账号"),
    "page-account-code": noted("设置验证码"),
    "page-account-form": noted("打开新建账号"),
    "page-account-off": noted("停用账号"),
    "page-account-password": noted("重设密码"),
    "page-account-sign-out": noted("结束账号的登录"),
    "page-accounts": noted("查看账号列表"),
    "page-admin": noted("查看管理概览"),
    "page-approvals": noted("查看待签字"),
    "page-capacity-nag": noted("提示名额待确认"),
    "page-case-card": noted("打印联系卡"),
    "page-case-file": noted("打开个案文件"),
    "page-client": noted("打开接口程序"),
    "page-client-add": noted("登记接口程序"),
    "page-client-form": noted("打开登记接口程序"),
    "page-client-keys": noted("更换程序密钥"),
    "page-client-revoke": noted("吊销接口程序"),
    "page-clients": noted("查看接口程序列表"),
    "page-crises": noted("查看危机"),
    "page-crisis-acknowledge": noted("确认危机"),
    "page-crisis-bar": noted("提示危机"),
    "page-dispatch-basis": noted("记录法定依据"),
    "page-dispatch-give-up": noted("终止派单"),
    "page-dispatch-offer": noted("派单"),
    "page-dispatch-referral": noted("打开待派转介"),
    "page-dispatch-refuse": noted("不受理转介"),
    "page-dispatch-take-back": noted("收回派单"),
    "page-downtime": noted("查看停机表"),
    "page-downtime-copy": noted("打印停机表"),
    "page-downtime-enter": noted("补录停机期间的事"),
    "page-escalations": noted("查看升级提醒"),
    "page-hand-over": noted("移交工作"),
    "page-come-back": noted("交还工作"),
    "page-me": noted("查看自己的账号"),
    "page-organizations": noted("查看机构名录"),
    "page-organizations-keep": noted("保存机构"),
    "page-services": noted("查看服务列表"),
    "page-services-keep": noted("保存服务"),
    "page-workers": noted("查看社工列表"),
    "page-workers-keep": noted("保存社工"),
    "page-partnerships": noted("查看合作协议"),
    "page-partnership-begin": noted("新建合作协议"),
    "page-partnership-change": noted("修改合作协议"),
    "page-partnership-end": noted("结束合作协议"),
    "page-queue-bulk": noted("批量办理"),
    "page-queue-row": noted("查看队列中的一条"),
    "page-queue-rows": noted("刷新队列"),
    "page-queue-next": noted("取下一条"),
    "page-refer-send": noted("发出转介"),
    "page-reports": noted("查看报表"),
    "page-roster": noted("查看值班表"),
    "page-routing": noted("查看派单规则"),
    "page-routing-editor": noted("试改派单规则"),
    "page-routing-try": noted("试跑派单规则"),
    "page-routing-apply": noted("应用派单规则"),
    "page-sign": noted("签字"),
    "page-send-back": noted("退回修改"),
    "page-transfer": noted("个案转手"),
    "page-visits": noted("查看探访"),
    "page-work": noted("查看工作量"),
    "delivery-resend": noted("重发一次投递"),
    "hl7-show": noted("查看 HL7 消息内容"),
    "hl7-replay": noted("重放 HL7 消息"),
    "hl7-drop": noted("放弃 HL7 消息"),
    "client-add": noted("登记接口程序"),
    "client-keys": noted("更换程序密钥"),
    "client-revoke": noted("吊销接口程序"),
    "account-add": noted("新建账号"),
    "account-off": noted("停用账号"),
    "account-password": noted("重设密码"),
    "account-code": noted("设置验证码"),
    "import": noted("导入名录"),
}
"""What was done, by the word of the audit; the others are told by their kind and what they were done to."""

COLUMNS = (
    noted("序号"), noted("时间"), noted("谁"), noted("角色"), noted("机构"), noted("做了什么"), noted("涉及"), noted("结果"), noted("紧急查阅"),
    noted("转介编号"), noted("记录编号"),
)  # fmt: skip
"""The first line of an export."""
NO_DAY = noted("日期请写成 2026-11-22 这样。")
NO_REFERRAL = noted("转介编号是一串 36 位的字母和数字，请从转介页面复制。")

WHY = {
    "forbidden": noted("没有权限"),
    "not-found": noted("看不到或不存在"),
    "wrong-role": noted("角色不符"),
    "wrong-actor": noted("不是有权办理的一方"),
    "platform-only": noted("只限平台管理员"),
    "wrong-password": noted("账号或密码不对"),
    "wrong-code": noted("验证码不对"),
    "illegal-move": noted("这一步当时不能做"),
    "conflict": noted("别人先了一步"),
}
"""Why something was refused, by its key."""


def nobody(line: AuditLine, speech: Speech) -> str:
    """Who acted, where no register names them."""
    return speech.gettext(NOBODYS.get(line.actor_role) or NOBODYS.get(line.actor_kind) or GONE)


def did(line: AuditLine, speech: Speech) -> str:
    """What was done."""
    if line.interaction in DID:
        said = speech.gettext(DID[line.interaction])
        known = TYPES.get(line.resource_type or "")
        return f"{said}{_between(speech)}{speech.gettext(known)}" if known and not line.interaction.startswith("page-") else said  # fmt: skip
    known = TYPES.get(line.resource_type or "")
    what = speech.gettext(known) if known else line.resource_type or ""
    if line.interaction.startswith("page-") and not known:
        what = speech.gettext("页面")
    said = speech.gettext(VERBS[line.action])
    if not what:
        return f"{said}{_between(speech)}{line.interaction}"
    return f"{said}{_between(speech)}{what}"


def _between(speech: Speech) -> str:
    return "" if speech.language == "zh" else " "


def whom(line: AuditLine, speech: Speech) -> str:
    """How many people and referrals it touched."""
    parts: list[str] = []
    if line.patients:
        parts.append(speech.ngettext("%(n)s 人", "%(n)s 人", len(line.patients)) % {"n": len(line.patients)})
    if line.referrals:
        parts.append(speech.ngettext("%(n)s 件转介", "%(n)s 件转介", len(line.referrals)) % {"n": len(line.referrals)})
    return " · ".join(parts)


def why(line: AuditLine, speech: Speech) -> str:
    """Why it was refused, in words where there are some."""
    return speech.gettext(WHY[line.why]) if line.why in WHY else line.why or ""


def outcome(line: AuditLine, speech: Speech) -> str:
    """How it ended."""
    if line.outcome == "success":
        return speech.gettext("完成")
    said = speech.gettext("被拒绝") if line.outcome == "refused" else speech.gettext("出错")
    told = why(line, speech)
    return f"{said}：{told}" if speech.language == "zh" else f"{said}: {told}"
