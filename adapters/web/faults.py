"""What a page says when a verb refuses: what happened, what it means, what to do, with the fields to mend.

A refusal's own text is written for programs, in English; people are told by its `key`, in their own language. A refusal without a
key is told by what stands in TEXTS for its text, else by its kind and its own words. No word here repeats what was typed.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from adapters.web.speech import Speech, noted
from service.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    Issue,
    Malformed,
    NotAcceptable,
    NotFound,
    Refusal,
    Stale,
    TooEarly,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)

KEYS: dict[str, str] = {
    "accepted": noted("已有机构接单，不能直接替换。请先撤回原来的转介，再发新的。"),
    "account-closed": noted("账号已停用，没有办理。"),
    "after-window": noted("这次随访的窗口那时已经结束。请选窗口以内的时间；窗口过了就记录结果。"),
    "agency": noted("只能为名录中的机构登记邮箱，而且只能登记邮箱。请核对机构。"),
    "assign-others": noted("只有督导可以把工作指派给别人；您可以指派给自己。"),
    "attempt-in-the-past": noted("下一次联系要在以后。已经做过的联系，请记在“这次联系”里。"),
    "awaiting-consent": noted("还没有同意书（或法定依据）写明本机构，服务还不能开始。请等医院取得同意；也可以由医院在床边介绍本机构。"),
    "away": noted("这位社工不在岗。请改选代班的人，或其他社工。"),
    "break-glass": noted("紧急查看只能看到这个人是谁、怎样联系，不能再往外转，也不能改动。需要更多时，请取得同意或法定依据。"),
    "cannot-take": noted("这位同事不能接手，什么都没有移交。请看下面的原因，改选别人。"),
    "cell-code": noted("请从列表中选择，或核对代码。"),
    "cell-date": noted("日期请写成 2026-11-22 这样。"),
    "cell-empty": noted("这一栏要填写。"),
    "cell-grade": noted("有证书日期，就要选择证书等级。"),
    "cell-key": noted("编码只能用小写字母、数字和 - _ . 三种符号，最多 64 个字符。"),
    "cell-kind": noted("机构类型登记后不能改；平台只有一个。"),
    "cell-limits": noted("答复时限请写成 stat=30 urgent=240w 这样：紧急程度=分钟，w 表示按工作时间。"),
    "cell-long": noted("文字太长，请缩短。"),
    "cell-number": noted("请填写范围内的整数。"),
    "cell-order": noted("结束日期不能早于开始日期。"),
    "cell-organization": noted("请选择名录里合适的机构。"),
    "cell-owner": noted("这个编码已属于另一家机构，不能改到别处。"),
    "cell-part-of": noted("上级机构不对：不能是自己或绕成一圈，院区要选所属医院。"),
    "cell-region": noted("名录里没有这个区划代码，请核对。"),
    "cell-status": noted("这类机构没有认可状态，请留空。"),
    "cell-taken": noted("已经有人用了，请换一个。"),
    "cell-uscc": noted("统一社会信用代码不对：应为 18 位，最后一位是校验位。"),
    "cell-uscc-taken": noted("这个统一社会信用代码已登记在另一家机构名下。"),
    "client-revoked": noted("它的接口程序已被吊销，不能再启用。请由新的程序重新订阅。"),
    "client-scope": noted("权限要写成 system/*.cruds 或 system/Task.rs 这样。"),
    "code-needed": noted("这个账号还需要验证码：请打开验证器，输入六位数字。"),
    "conflict": noted("刚才有别的操作同时进行，没有保存。请再试一次。"),
    "conflict-of-interest": noted("这位社工已申报利益冲突。请改选另一位社工；本机构没有别人时，请以这个原因退回。"),
    "coordination-open": noted("还有为这个目标协调的事项没有了结。请先了结它们，再结束目标。"),
    "crisis-category": noted("危机的处置要作为危机步骤记录。请在转介页的危机栏里操作。"),
    "crisis-up": noted("危机还没有解除，现在不能结束。请先按步骤解除危机。"),
    "deceased": noted("服务对象已经去世，这一步不再进行。"),
    "derived": noted("这个总分由系统根据答案计算，不能直接改。请更正答案。"),
    "disclosed": noted("本机构已经可以看到身份，不需要紧急查看。"),
    "disclosure-ended": noted("这个文件里有人的身份已不再对您开放。请重新导出。"),
    "documents-missing": noted("缺少必备文书，个案还不能进入下一阶段。请补齐下面所列的文书。"),
    "duplicate": noted("这一条已经记录过，没有再记一次。"),
    "endpoint": noted("通知不能发到这个地址。请检查地址是否完整，是否在允许的范围内。"),
    "entry-before-accepted": noted("本机构接单之后才能有服务记录。请核对时间；接单前的沟通请记为说明。"),
    "entry-before-offer": noted("那时还没有这一项：时间早于派单或安排。请核对日期和时间。"),
    "entry-in-the-future": noted("补录的是已经做过的事。请核对日期和时间。"),
    "entry-minutes": noted("分钟请填 0 到 1440 之间的整数。"),
    "entry-offer-gone": noted("派单已经不在了：超时收回，或已由别家接走，不能补记接单或退单。请告诉协调员停机时已口头答复。"),
    "entry-other-kind": noted("这件事不能记在所选的那一项上：接单、退单和服务记在派给本机构的转介上，联系记在随访上。"),
    "entry-too-old": noted("补录只限最近 7 天做过的事。更早的，请用平常的方式记录。"),
    "faulty-fields": noted("还没有保存：请更正下面的内容。您填写的都还在。"),
    "faulty-files": noted("文件有错误，什么都没有导入。请按下面所列逐条更正后重新导入。"),
    "foreign-form": noted("这张表单来自别处，或来自已经结束的登录。没有保存任何内容。请重新打开页面再提交。"),
    "foreign-need": noted("只能选这条转介里已有的需求。"),
    "foreign-referral": noted("这份材料属于另一条转介。请从它所属的转介打开。"),
    "foreign-worker": noted("所选的人不是本机构的社工。请从名单中重新选择。"),
    "goal-type": noted("请选择目标的类型。"),
    "grace-passed": noted("可以退回的时间已过，或已有服务记录。如不能继续服务，请选择“未能完成”并写明原因。"),
    "guarded": noted("联系这位服务对象的每一步都由督导决定，现在不安排志愿者。"),
    "handed-over": noted("这位同事的工作已经移交，或已安排移交。请先结束原来的移交。"),
    "handshake": noted("握手消息不能单独重发。请重新申请这条订阅。"),
    "has-share": noted("这家机构已经在这条转介里。请改选其他机构。"),
    "header": noted("附加的消息头不合要求：每行一个“名称: 值”，用英文，最多 20 行，不能改动系统自己的消息头。"),
    "heartbeat": noted("心跳间隔超出了允许的范围。请改成提示范围内的秒数。"),
    "hl7-configuration": noted("HL7 接口的配置读不出来，没有重放。请先检查配置文件。"),
    "hl7-not-configured": noted("本服务没有 HL7 接口的配置，不能重放。请设置 YUANSHE_HL7，或在接口所在的机器上用命令重放。"),
    "identity-conflict": noted("这些号码在本院属于不同的患者。请核对号码；如果确是同一个人，请先合并档案。"),
    "identity-in-answer": noted("身份还没有对这家机构开放：文字里不能有患者的姓名、电话或证件号。请删去后再发送。"),
    "illegal-move": noted("这一步现在不能做：情况可能刚刚变了，或还差前一步。请重新打开页面，看现在可以做什么。"),
    "in-flight": noted("刚才的提交还在处理。请稍等片刻，再刷新页面查看结果。"),
    "infected": noted("安全扫描发现这个文件有害，没有保存。请换一个文件。"),
    "keys-address": noted("公钥的地址要以 https:// 开头。"),
    "keys-or-address": noted("公钥和公钥的地址请填其中一个。"),
    "keys-refused": noted("这些密钥不能用：要有公钥、每把有 kid，RSA（RS384）或 EC P-384（ES384），不含私钥，也不能与已有的 kid 冲突。"),
    "keys-unreadable": noted("这不是一份 JWK Set（JSON）。请让对方重新导出公钥。"),
    "ladder-not-walked": noted("还没有试过所有的联系方式，不能记为失联。请继续联系，或由督导写明原因后决定。"),
    "links": noted("答复链接只能用邮件发给机构。"),
    "lost-way": noted("这次登录没有完成：时间太长、链接用过了，或换了浏览器。请再登录一次。"),
    "max-count": noted("一条通知至少包含一个事件。"),
    "merged": noted("这份档案已并入另一份。请打开合并后的档案。"),
    "message-id-reused": noted("同一编号的消息以前收到过。它当时的处理结果没有变。"),
    "name-missing": noted("请给视图起个名字。"),
    "name-too-long": noted("名字最多 40 个字，请缩短。"),
    "no-active-partnership": noted("这家医院和这家机构之间没有生效的合作协议。请改选机构，或联系管理员登记协议。"),
    "no-capacity": noted("这家机构没有空余名额。请改选其他机构；如果名额有误，请先更新可接名额。"),
    "no-case": noted("个案还没有建立。请先接单。"),
    "no-crisis": noted("这条转介现在没有危机。请重新打开页面查看。"),
    "no-duty": noted("这不是一项待办职责。请从待办列表重新打开。"),
    "no-file": noted("这份文书不能用上传文件代替。请在系统里填写它的表单。"),
    "no-follow-up": noted("这不是一条随访。请从随访列表重新打开。"),
    "no-generator": noted("这次设置已经失效。请从“我的账号”重新开始。"),
    "no-identifier": noted("没有一个号码是本院登记过的号码类型。请核对号码。"),
    "no-link": noted("链接无效：不完整，或已过了保留期限。"),
    "no-mail": noted("本系统没有配置发邮件。请改用其他通知方式，或联系管理员。"),
    "no-number": noted("缺少号码：没有登记身份证号，或名录里没有这家机构的外呼电话。请先补上号码。"),
    "no-onward-referral": noted("以“有新需求、已转出”结案，要有一条已被接收的后续转介。请先转出并等对方接单。"),
    "no-password": noted("这个账号没有密码，请在本单位的统一登录那边设置。"),
    "no-reason": noted("请从列表中选择退单原因。"),
    "no-share": noted("这一步只能在机构承接的那一份转介上做。请从本机构的个案打开。"),
    "no-such-act": noted("没有这个操作。请重新打开页面。"),
    "no-volunteer-consent": noted("服务对象没有同意志愿者探访。请先取得写明本机构和“志愿者”用途的同意。"),
    "no-words": noted("请写几句说明。"),
    "no-worker": noted("请选择指派给哪位社工。"),
    "nobody-eligible": noted("没有机构符合条件，不能开放给各机构认领。请看各机构不符合的原因，或由协调员指定。"),
    "none-selected": noted("还没有选择任何一条。请先勾选，或选择“本视图全部”。"),
    "not-a-supervisor": noted("这一步由本机构的持证督导决定，或由医院决定。请请督导来操作。"),
    "not-accepted": noted("本机构还没有接单，现在还不能做这一步。"),
    "not-current": noted("这条转介已经结束，不能再改。请重新打开页面查看结果。"),
    "not-disclosed": noted("服务对象的身份没有对本机构开放（还没有取得同意，或授权已结束），这一步不能做。没有保存任何内容。"),
    "not-eligible": noted("这家机构现在不符合接这条转介的条件。请改选其他机构。"),
    "not-handed-over": noted("这位同事现在没有移交中的工作。"),
    "not-in-bulk": noted("这个操作不能对多条一起做。请逐条办理。"),
    "not-parked": noted("这条消息已经不在待处理之列。请刷新列表。"),
    "not-qualified": noted("涉及安全保护的需求只能派给有保护资质的机构。请改选有资质的机构。"),
    "not-sure": noted("请先勾选，确认已看过会停止的事。"),
    "not-there": noted("所选的人现在不是本机构在岗的社工。请从名单中重新选择。"),
    "not-tried": noted("请先勾选，确认已看过试跑结果。"),
    "not-vouched": noted("本单位的统一登录没有确认您的身份，可能是您取消了，也可能是时间太长。请再登录一次；反复出现时，请联系管理员。"),
    "not-yours": noted("这一部分不由本机构修改。请联系平台或医院。"),
    "nothing-to-apply": noted("没有可以应用的改动：名额由机构自己确认。"),
    "nothing-to-sign": noted("没有等待您签署的内容。请刷新列表。"),
    "notify-unsafe": noted("现在不能联系服务对象：请督导先就这一步作出决定（安全联系）。"),
    "other-act": noted("这个链接用于另一件事。"),
    "other-content": noted("文件内容和它的类型不一致。请检查文件，按真实类型重新上传。"),
    "other-patient": noted("这个住院号属于另一位患者。请核对号码。"),
    "other-subject": noted("这份材料说的是另一个人。没有保存。请核对后从正确的转介打开。"),
    "over": noted("危机已经有人确认，这里不用再做什么。"),
    "override-reason": noted("这家机构没有满足全部条件。仍要派给它时，请写明原因。"),
    "own-account": noted("不能停用自己的账号。请由另一位管理员操作。"),
    "own-case": noted("不能督导自己的个案。请改由另一位督导。"),
    "own-note-only": noted("记录由写的人自己更正。请由本人修改，或另写一条。"),
    "own-service-only": noted("可接名额只由机构自己填报。"),
    "own-staff-only": noted("只能查看和移交本机构人员的工作。"),
    "own-time-only": noted("工时由本人登记和更正。"),
    "owner": noted("个案负责人不能同时作协同社工。请另选一位。"),
    "partnership-ended": noted("这份协议到那时已经结束。请新建一份协议。"),
    "partnership-overlap": noted("同一家医院和机构在这段时间已有协议。请先结束原来的，或改它的内容。"),
    "password-length": noted("密码至少 10 个字符，最多 1024 个。请换一个长一些的。"),
    "password-login": noted("密码不能和账号相同。"),
    "past-day": noted("只能从今天或以后开始：过去的记录保持原样。"),
    "period": noted("起止日期不对：请检查，结束不能早于开始。"),
    "period-long": noted("一次最多看 400 天，请缩短期间。"),
    "places": noted("名额请填 0 到 100,000 之间的整数。"),
    "plan-first": noted("解除危机之前，要先有安全计划。"),
    "platform-only": noted("这一步由平台管理员操作。请联系管理员。"),
    "prohibition-of-another": noted("这条联系禁令由设立它的一方解除，或由医院解除。"),
    "provider-away": noted("暂时联系不到本单位的统一登录。请过一两分钟再试；有院社密码的，可以先用密码登录。"),
    "reopened": noted("这个个案已经重新打开了。请刷新页面。"),
    "report-first": noted("法律要求先报告：请先记录强制报告，再解除危机。"),
    "request-fixed": noted("转介发出后内容不再改动。需求有变时，请发一条新的转介替换它，或撤回它。"),
    "risk-with-plan": noted("风险等级要和安全计划一起记录。请选择风险等级。"),
    "row-broke": noted("系统出了差错，这一条没有办理。请单独打开它，再试一次。"),
    "same-password": noted("新密码和现在的一样。请换一个。"),
    "scan-pending": noted("文件还在做安全扫描。请稍后再打开。"),
    "sealed": noted("已封存的内容不再改动。如有错误，请另写一份更正。"),
    "secret": noted("签名密钥格式不对：应以 whsec_ 开头，后接 24 至 64 字节的 base64。"),
    "seen": noted("已经有人看过并处理了。请刷新页面。"),
    "session-ended": noted("登录已过期。请重新登录，再继续刚才的事。"),
    "signer-barred": noted("这个人不能代患者签署。无法取得同意时，由督导依法定依据（法定职责或紧急情况）决定。"),
    "stay-ended": noted("这个号码的住院已经结束。请用新的住院号登记，或先取消出院。"),
    "still-open": noted("这条转介还在进行，不需要重新打开。"),
    "subscription-ended": noted("这条订阅的期限已过。请由对方的程序重新订阅。"),
    "subscription-off": noted("这条订阅已停用。请先重新申请，再发送。"),
    "subscription-on": noted("这条订阅已经启用。"),
    "supervisor-only": noted("这一步由本机构的持证督导亲自操作。请请督导登录后办理。"),
    "taken": noted("别人先了一步：已被占用或已被接走。没有改变任何内容。请看下一条，或换一个名称。"),
    "taken-here": noted("同事刚刚已经接了这一条。没有改变任何内容；请看下一条。"),
    "time-unreadable": noted("时间读不出来。请按 年-月-日 时:分 填写。"),
    "timeout": noted("超时秒数超出了允许的范围。请改成提示范围内的秒数。"),
    "too-many-lines": noted("超过 50,000 条，没有导出。请缩短时间范围，或加上机构、人员等条件。"),
    "too-many-rows": noted("一次最多办理 1,000 条。请减少选择。"),
    "too-many-subscriptions": noted("订阅数量已到上限。请先停用一条。"),
    "too-many-views": noted("保存的视图已到上限。请先删除一个。"),
    "too-many-words": noted("文字太长，请缩短。"),
    "two-persons": noted("制定安全计划的人不能自己解除危机。请由另一个人确认解除。"),
    "unknown-code": noted("请从列表中选择可接状态。"),
    "unknown-goal": noted("所选的目标不属于这个个案。请重新选择。"),
    "unknown-output": noted("所列的成果不是本机构为这条转介记录的。请重新选择。"),
    "unknown-person": noted("本单位确认了您是谁，但您在院社还没有账号。请联系院社的管理员。"),
    "unlicensed": noted("所选的社工今天没有有效的执业资格，或本机构今天没有持证社工。请改选，或联系管理员更新名录。"),
    "unsafe-attempt": noted("那时用那种方式联系不安全，没有安排。请看上面的安全联系，改选时间或方式。"),
    "unsafe-contact": noted("为了安全，不给这位服务对象打印卡片：纸片可能被别人看到。请用安全的方式当面告知。"),
    "until-past": noted("恢复的时间已经过去。请选一个以后的时间。"),
    "used": noted("这次呼叫已经确认过了。"),
    "void": noted("这条工时已经更正或作废过。请刷新列表。"),
    "waiver": noted("只有归档时可以由督导豁免所缺的文书。"),
    "which-stay": noted("不能确定是哪一次住院。请填写住院号。"),
    "wrong-actor": noted("这一步不属于您的角色或您的机构。没有改变任何内容。请交给有权办理的一方。"),
    "wrong-code": noted("验证码不对，或已经用过。请等下一个验证码。"),
    "wrong-old-password": noted("现在的密码不对。请再输入一次。"),
    "wrong-password": noted("账号或密码不对。请检查后再试。"),
    "wrong-role": noted("账号由管理员管理。请联系管理员。"),
}  # fmt: skip
"""A refusal's `key` → what people are told."""

TEXTS: dict[str, str] = {
    "At most {} characters.": "文字太长，最多 {0} 个字。",
    "Say in words what is to be changed.": "请写明要改什么。",
    'A reason with text is required.': "请写明原因。",
    'The reason needs a code of {}.': "请从列表中选择原因。",
    'The form is not filled in.': "表单还没有填完。",
    '“{}” ({}) has no answer: item {}.': "“{0}”还没有填。",
    '“{}” ({}) has an answer that its list does not know: item {}.': "“{0}”的答案不在列表里，请重新选择。",
    'This is no code of {}.': "请从列表中选择。",
    'Name the supervisor: a PractitionerRole of this agency.': "请选择督导。",
    'The goal cannot be recorded so.': "目标还不能保存：请更正下面的内容。",
    'The {} needs a code of {}.': "请从列表中选择。",
    'This names a goal that is none of this case.': "所选的目标不属于这个个案。请重新选择。",
    'The colleague is no worker of the same agency.': "这位同事不是本机构的社工。",
    'Nobody stands in for themself.': "不能移交给自己。请另选一位。",
    'The colleague is away too: name somebody who is there.': "这位同事也不在岗。请选在岗的人。",
    'The colleague is not licensed today; who works on cases has to be.': "这位同事今天没有有效的执业资格，不能接个案。",
    'The colleague has a conflict of interest here: name another worker for this one first.': "这位同事和其中一位服务对象有利益冲突。请先为这一条另选社工。",
    'A hand-over ends after it begins, and not in the past.': "移交的结束日期要晚于开始日期，且不早于今天。",
    'Say why: a reason in text.': "请写明原因。",
    'A supervisor signs: {}.': "这份文书不需要督导签批。",
    'This time cannot be written down so.': "工时还不能保存：请更正下面的内容。",
    'A correction stays with the case of the entry that it corrects.': "更正只能用于原来的个案。",
    'Say whose time it was.': "请选择是谁的工时。",
    'This is no intervention of this case.': "所选的服务记录不属于这个个案。",
    'Procedure/{} has as many minutes on that day, which count by themselves: if it is the same time, correct this entry and name it as `procedure`.': "当天有一条同样时长的服务记录，它已自动计入工时。如果是同一段时间，请更正这一条。",
    'The activity needs a code of {}.': "请选择工作类型。",
    'Minutes are from 1 to {}.': "分钟数请填 1 到 {0}。",
    'Time that was spent does not lie in the future.': "时间不能晚于现在。",
    'Time is written down within {} days.': "只能补记 {0} 天以内的工时。",
    'An intervention is no administration.': "服务记录的工时不能记为行政工作。",
    'A transfer needs a reason and a note for who goes on.': "请写明原因，并给接手的人留一段说明。",
    'Say why the need is passed on.': "请写明为什么转出。",
    'A need is a code of {}.': "请从列表中选择需求。",
    'Within the agency a case is given to another worker.': "在本机构内部，请改派给另一位社工。",
    'The role needs a code of {}.': "请选择角色。",
    'Co-work ends after it begins, and not in the past.': "协同的结束日期要晚于开始日期，且不早于今天。",
    'Visits come every 1 to {} days.': "探访间隔请填 1 到 {0} 天。",
    'The first visit lies within the next {} days.': "首次探访要在今后 {0} 天以内。",
    'The visits cannot be planned so.': "探访还不能安排：请更正下面的内容。",
    'The intervention cannot be recorded so.': "记录还不能保存：请更正下面的内容。",
    'The service type needs a code of {}.': "请选择服务类型。",
    'The method needs a code of {}.': "请选择服务方式。",
    'Say when it was performed.': "请填写时间。",
    'It ends before it begins.': "结束时间早于开始时间。",
    'What is completed cannot lie in the future.': "已完成的服务不能晚于现在。",
    'Minutes are not negative.': "分钟数不能小于零。",
    'Nobody less than nobody takes part.': "人数不能小于零。",
    'An amount is that of an application for a benefit, in 分, and not negative.': "金额只用于救助或补贴申请，不能小于零。",
    'Nothing here identifies a person: give a citizen number, a telephone, or a name with a birth date.': "请填写身份证号、电话，或姓名加出生日期。",
    'A consent names the agencies that the signer was shown.': "请勾选同意书写明的机构。",
    '{} does not sign: a parent or guardian (RelatedPerson) is the performer.': "未满 14 岁或无行为能力的人不能自己签署，请由父母或监护人签署。",
    'The consent does not hold.': "同意书还不能保存：请更正下面的内容。",
    'A consent stays with its patient.': "同意书不能换到另一位患者名下。",
    'The consent names a referral of another patient.': "同意书里写的转介属于另一位患者。",
    'A lawful basis needs its reason in text.': "请写明法定依据的理由。",
    'A glass is broken for a reason, in text.': "请写明为什么需要紧急查看。",
    'The channel needs a code of {}.': "请选择联系方式。",
    'An attempt is recorded after it was made.': "联系的时间不能晚于现在。",
    'An attempt is recorded within a year.': "只能补记一年以内的联系。",
    'Say why nobody was reached.': "请选择没有联系上的原因。",
    'A result is a code of {}.': "请选择联系结果。",
    'Who was reached was reached: the result and the status differ.': "结果和“是否联系上”不一致，请核对。",
    'An outcome is a code of {}.': "请选择随访结果。",
    'Say why the merge is undone.': "请写明为什么撤销合并。",
    'A record is not merged into itself.': "不能把档案并入它自己。",
    "The patient's identity does not hold.": "患者信息还不能保存：请更正下面的内容。",
    'The citizen number is not valid (18 characters, a real date, its check digit).': "身份证号不对：应为 18 位，出生日期和校验码要相符。",
    'The birth date is not the one that the citizen number states.': "出生日期和身份证号不一致。",
    'Nobody has two citizen numbers.': "一个人不能有两个身份证号。",
    'The reason for having no identifier is one of {}.': "请选择没有证件号码的原因。",
    "A patient needs an identifier (the citizen number, or the hospital's own number), or the coded reason why there is none.": "请填写身份证号或住院号；都没有时，请选择原因。",
    'The stay ends before it begins.': "出院时间早于入院时间。",
    "A stay's end lies at most a year ahead.": "出院时间最多在一年以内。",
    'The subject is not a patient that is known here.': "没有这位患者的档案。",
    'Say why it has to be read: it is sealed.': "内容已封存，请写明为什么要查看。",
    'Say why it is dropped.': "请写明为什么丢弃。",
    'The file is empty.': "文件是空的。请重新选择。",
    'A file has at most {} octets.': "文件太大，最多 {0} 字节。",
    'This is no resource that you may add a file to.': "不能在这里添加文件。",
    'A file belongs to one of {}.': "不能在这里添加文件。",
    'The rules of safe contact do not hold.': "安全联系的规则还不能保存：请更正下面的内容。",
    'Each step of a crisis says what was done, in text.': "请写明做了什么。",
    'Say in text why a crisis is raised.': "请写明为什么上报危机。",
    'The whole number is shown for a reason, in text.': "请写明为什么要看完整号码。",
    'There is an open referral of this patient for the same need: ServiceRequest/{}.': "这位患者已有一条同样需求、还在进行的转介。",
    'The review ends with a finding: a statusReason of {} (justified, not-justified), with text.': "请选择复核结论并写明理由。",
    'The report cannot be recorded so.': "报告还不能保存：请更正下面的内容。",
    'Say why the suggestion is dismissed.': "请写明为什么不采纳。",
    'The resume-by date lies in the past.': "恢复日期不能早于今天。",
    'A completed Task needs at least one output.': "结案前，至少要有一项服务记录或成果。",
    'What the visit is for is a code of {}.': "请选择探访的内容。",
    'A volunteer works under a named social worker: name one first.': "请先指定负责的社工，再安排志愿者。",
    'Who asked is a code of {}.': "请选择是谁提出的。",
    'The number to call has 5 to 20 digits.': "电话号码应为 5 到 20 位数字。",
    'A channel is a code of {}.': "请选择联系方式。",
    'Safe hours begin and end at different times.': "安全时段的开始和结束时间不能相同。",
    'A day is mon, tue, wed, thu, fri, sat or sun.': "请选择星期几。",
    'A decision ends after it begins.': "决定的结束时间要晚于开始时间。",
    'A decision is for one step: at most {} days.': "一次决定只用于一步，最多 {0} 天。",
    'It was reported before it was known.': "报告时间早于知悉时间。",
    'A report is recorded after it was made.': "报告时间不能晚于现在。",
    'Either nothing was preserved, or something.': "“没有保存证据”不能和其他选项同时选。",
    "A person's role is one of {}.": "请从列表中选择角色。",
    "A program's role is one of {}.": "请从列表中选择程序的角色。",
    'A login is not empty.': "请填写账号。",
    "A program's scopes are system scopes such as system/*.cruds or system/Task.rs.": "程序的权限应写成 system/*.cruds 或 system/Task.rs 这样的形式。",
    'A program has either public keys or the address of its keys.': "请提供程序的公钥，或公布公钥的地址（二选一）。",
    'Keys are added to keys; a program that publishes them at an address adds them there.': "这个程序在地址上公布公钥，请在那边添加。",
    "A link names the provider's issuer and its name of the person.": "请填写统一登录的地址和对方的编号。",
}  # fmt: skip
"""The service's own text, `{}` for what varies → what a reader of Chinese is told of it; English readers read the text itself."""


PROGRAMS = frozenset(
    {
        "insufficient-scope", "invalid_client", "invalid_request", "invalid_scope", "invalid_token", "no-token", "patch-test",
        "request-id-reused", "unsupported_grant_type",
    }
)  # fmt: skip
"""Keys that only programs meet: tokens, scopes, patches, their own request numbers."""

KINDS: dict[type[Refusal], tuple[str, int]] = {
    Malformed: (noted("提交的内容读不出来。没有保存任何内容。请返回上一页检查后再试。"), 400),
    Unauthenticated: (noted("登录已过期。请重新登录，再继续刚才的事。"), 403),
    Forbidden: (noted("这一步不属于您的角色，或者这张表单来自别处。请重新打开页面。"), 403),
    NotFound: (noted("没有这个页面，或者它不在您可以看到的范围内。"), 404),
    Gone: (noted("这里曾经有内容，现在已经没有了。"), 410),
    NotAcceptable: (noted("没有这种形式的内容。"), 406),
    Stale: (noted("别人刚刚改过这一条，您的修改没有保存。请看现在的内容，再决定是否还要改。"), 409),
    Conflict: (noted("情况刚刚变了，没有改变任何内容。"), 409),
    TooLarge: (noted("内容太长或文件太大，没有保存。请缩短后再试。"), 413),
    UnsupportedMedia: (noted("不接受这种类型的内容。"), 415),
    Invalid: (noted("还不能提交：请更正下面的内容。没有保存任何内容，您填写的都还在。"), 422),
    TooEarly: (noted("刚才的提交还在处理。请稍等片刻，再刷新页面查看结果。"), 409),
    TooMany: (noted("操作太频繁。请稍后再试。"), 429),
    Unavailable: (noted("服务暂时联系不到数据库。请稍后重试，已经提交的内容不会丢失。"), 503),
}
"""Kind of refusal → what it means, and the status of a page that says so."""


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("(.+?)".join(re.escape(part) for part in text.split("{}")), re.DOTALL)


_VARYING = [(_pattern(text), words) for text, words in TEXTS.items() if "{}" in text]
_INDEX = re.compile(r"\[[^]]*\]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_BOTH = re.compile(r"^(.*[\u4e00-\u9fff].*[。！？])\s*([^\u4e00-\u9fff]+)$", re.DOTALL)


class Entry(msgspec.Struct, frozen=True):
    """One thing to mend: in which field of the form (the `id` of its element), if it is one of its fields."""

    field: str | None
    words: str


class Fault(msgspec.Struct, frozen=True):
    """What a page says of a refusal: `status` is the page's own."""

    summary: str
    entries: tuple[Entry, ...]
    status: int

    def of(self, field: str) -> str | None:
        """What is wrong with this field, to stand beside it."""
        return next((entry.words for entry in self.entries if entry.field == field), None)


def told(refusal: Refusal, speech: Speech, fields: Mapping[str, str] | None = None) -> Fault:
    """The refusal in the reader's words. `fields`: where the verb finds fault (`statusReason.text`, or its last word `text`) → the
    field of this form; what is not named there is no field of it. Without `fields`, the last word itself is the field's name."""
    summary, status = _kind(refusal)
    words = KEYS.get(refusal.key or "")
    given = _said(refusal.issues, refusal, speech, fields)
    if words is None:
        return Fault(speech.gettext(summary), given, status)
    if len(refusal.issues) == 1 and refusal.issues[0].text == str(refusal):
        return Fault(
            speech.gettext(summary), (Entry(_field(refusal.issues[0].at, fields), speech.gettext(words)),), status
        )
    return Fault(speech.gettext(words), given, status)


def lacking(entries: Iterable[tuple[str, str]], speech: Speech) -> Fault:
    """What a page itself misses in a form before it asks a verb: (field, noted words) each."""
    found = tuple(Entry(field, speech.gettext(words)) for field, words in entries)
    return Fault(speech.gettext(KINDS[Invalid][0]), found, 422)


def _kind(refusal: Refusal) -> tuple[str, int]:
    return next((told for kind, told in KINDS.items() if isinstance(refusal, kind)), KINDS[Invalid])


def _said(
    issues: Iterable[Issue], refusal: Refusal, speech: Speech, fields: Mapping[str, str] | None
) -> tuple[Entry, ...]:
    """Each issue, unless all that is known of it is a program's text about something that is not there or not theirs."""
    if isinstance(refusal, NotFound | Forbidden | Unauthenticated | Unavailable | Stale | TooMany | TooEarly):
        return ()
    return tuple(Entry(_field(issue.at, fields), _words(issue, speech)) for issue in issues)


def _words(issue: Issue, speech: Speech) -> str:
    words = KEYS.get(issue.key or "")
    if words is not None:
        return speech.gettext(words)
    if speech.language == "zh":
        words = TEXTS.get(issue.text)
        if words is not None:
            return words
        for pattern, varying in _VARYING:
            if found := pattern.fullmatch(issue.text):
                return varying.format(*found.groups())
    return _one_language(issue.text, speech.language)


def _one_language(text: str, language: str) -> str:
    """The half of a text in both languages that the reader speaks: 中文 / English, or 中文。English."""
    if not _CHINESE.search(text):
        return text
    chinese, slash, english = text.partition(" / ")
    if not slash:
        both = _BOTH.match(text)
        if both is None:
            return text
        chinese, english = both[1], both[2]
    return (chinese if language == "zh" else english).strip()


def _field(at: str | None, fields: Mapping[str, str] | None) -> str | None:
    if not at:
        return None
    path = _INDEX.sub("", at)
    last = path.rpartition(".")[2]
    if fields is None:
        return last or None
    return fields.get(at) or fields.get(path) or fields.get(last)
