"""The words of the pages on which an agency answers by a link, Chinese first: what happened, what it means, what to do."""

from datetime import datetime

from service.values import SHANGHAI

WORDS: dict[str, dict[str, str]] = {
    "zh": {
        "skip": "跳到正文",
        "mistake": "请更正",
        "mend": "还差一点",
        "why": "原因",
        "words": "说明",
        "question": "想问医院什么",
        "hint": "请不要写人名、电话或证件号。医院会看到这段文字。",
        "promise": "确认接单",
        "follows": "接下来",
        "opening": "打开本页不会改变任何内容，按下按钮后才生效。",
        "once": "本链接只用于这一件事，只能用一次。",
        "identity": "这里不显示服务对象的身份。接单后，取得同意（或有法定依据）并登录才能看到。",
        "need": "需求", "urgency": "紧急程度", "age": "年龄段", "place": "地区", "language": "语言", "by": "答复时限",
        "accept": "接单", "decline": "退单", "ask": "追问", "return": "退回",
        "waiting": "等待「{agency}」答复 · {by} 前",
        "undo-by": "「{agency}」已接单 · {by} 前可以退回",
        "sure": "本机构接下这条转介，安排持证社工，并在规定时限内首次联系。",
        "undo": "接错了？{by} 前可以退回",
        "no-reason": "请选择一个原因",
        "no-words": "请写几句说明",
        "no-question": "请写下想问的问题",
        "not-sure": "请勾选确认后再接单",
        "too-many-words": "文字太长，请缩短到 {most} 字以内",
    },
    "en": {
        "skip": "Skip to content",
        "mistake": "Please mend",
        "mend": "Something is missing",
        "why": "Reason",
        "words": "In your words",
        "question": "What do you need to ask the hospital?",
        "hint": "Please write no name, telephone or identity number. The hospital reads this.",
        "promise": "Confirm that you accept",
        "follows": "What comes next",
        "opening": "Opening this page changes nothing; only the button does.",
        "once": "This link is for this one act, and works once.",
        "identity": "The person's identity is not shown here. After you accept, it takes consent (or a lawful basis) and a sign-in to see it.",
        "need": "Need", "urgency": "Urgency", "age": "Age", "place": "Area", "language": "Language", "by": "Answer by",
        "accept": "Accept", "decline": "Decline", "ask": "Ask", "return": "Return",
        "waiting": "Waiting for {agency} to answer · by {by}",
        "undo-by": "{agency} has accepted · can be returned until {by}",
        "sure": "Our agency takes this referral, names a licensed worker, and makes the first contact in time.",
        "undo": "Accepted by mistake? It can be returned until {by}",
        "no-reason": "Choose a reason",
        "no-words": "Write a few words of explanation",
        "no-question": "Write what you need to ask",
        "not-sure": "Tick the box to accept",
        "too-many-words": "Too long: at most {most} letters",
    },
}  # fmt: skip
"""What stands on every page."""

HEADINGS: dict[str, dict[str, str]] = {
    "zh": {"accept": "接下这条转介？", "decline": "退单，请说明原因", "ask": "向医院追问", "return": "退回已接的转介"},
    "en": {"accept": "Accept this referral?", "decline": "Decline this offer", "ask": "Ask the hospital", "return": "Return what was accepted"},
}  # fmt: skip

DONE: dict[str, dict[str, tuple[str, ...]]] = {
    "zh": {
        "accept": ("已接单", "医院已看到贵机构接单。"),
        "decline": ("已退单", "医院已看到原因，这条转介已转出继续派单。"),
        "ask": ("问题已发给医院", "在医院答复之前，答复时限暂停。"),
        "return": ("已退回", "这条转介已转出继续派单。"),
    },
    "en": {
        "accept": ("Accepted", "The hospital sees that your agency has accepted."),
        "decline": ("Declined", "The hospital sees why, and the referral has gone on to be placed elsewhere."),
        "ask": ("Your question has gone to the hospital", "Until it answers, your reply limit is paused."),
        "return": ("Returned", "The referral has gone on to be placed elsewhere."),
    },
}  # fmt: skip
"""What a link has done: the heading, and what that means."""

NEXT: dict[str, dict[str, tuple[str, ...]]] = {
    "zh": {
        "accept": ("登录系统，指定负责的持证社工。", "取得同意（或有法定依据）后，登录即可看到服务对象的身份和联系方式。"),
        "decline": ("贵机构不用再做什么。",),
        "ask": ("医院答复后，这个邮箱会收到新的通知和新的链接。", "在此之前仍可用原邮件里的链接接单或退单。"),
        "return": ("贵机构不用再做什么。",),
    },
    "en": {
        "accept": ("Sign in and name the licensed worker in charge.", "Once there is consent (or a lawful basis), whoever signs in sees who the person is and how to reach them."),
        "decline": ("There is nothing more for you to do.",),
        "ask": ("When the hospital has answered, this mailbox gets a new notice with new links.", "Until then the other links of the mail still accept or decline."),
        "return": ("There is nothing more for you to do.",),
    },
}  # fmt: skip

FIRST_CONTACT = {"zh": "首次联系时限：{by} 前。", "en": "The first contact is due by {by}."}
CONSENT = {
    "zh": "医院正在取得服务对象的同意；首次联系的时限从取得同意后继续计算。",
    "en": "The hospital is obtaining the person's consent; the limit for the first contact runs on from there.",
}

CLOSED: dict[str, dict[str, tuple[str, ...]]] = {
    "zh": {
        "again": ("这个链接已经用过", "它在 {used} 用于“{act}”，这次没有改变任何内容。"),
        "expired": ("已过答复时限", "这条转介已不再等待贵机构答复，可能已派给其他机构。", "如仍能接单，请联系平台协调员；新的派单会另发通知。"),
        "withdrawn": ("医院已撤回这条转介", "没有改变任何内容，贵机构不用再做什么。"),
        "taken": ("其他机构已接单", "这条转介已由另一家机构接下，贵机构不用再做什么。"),
        "declined": ("贵机构已退单", "这条转介已转出。如系误操作，请联系平台协调员。"),
        "accepted": ("贵机构已接单", "这条转介已由贵机构用其他方式接下。后续请登录系统办理。"),
        "returned": ("贵机构已退回", "这条转介已转出继续派单。"),
        "too-late": ("已不能退回", "可退回的时间已过，或已有服务记录。如无法继续服务，请登录系统填写原因。"),
        "switched-off": ("这个邮箱已停用", "它不再接收通知，其中的链接也随之失效。请登录系统，或联系平台协调员。"),
        "no-link": ("链接无效", "链接不完整，或已过了保留期限。", "请从原邮件完整复制链接，或登录系统答复。"),
        "unlicensed": ("暂时不能接单", "贵机构在名录中今天没有在册的持证社工，所以没有接单。", "请联系平台协调员更新名录，或退单。链接仍可使用。"),
        "no-capacity": ("暂时不能接单", "贵机构申报的名额已满，所以没有接单。", "请更新可接名额，或联系平台协调员。"),
        "refused": ("没有办成", "情况刚刚有变，没有改变任何内容。", "请重新打开链接查看，或登录系统办理。"),
        "throttled": ("请稍后再试", "来自这里的无效链接太多。", "请几分钟后再打开邮件里的链接。"),
        "away": ("系统暂时不可用", "没有改变任何内容，链接仍可使用。", "请一两分钟后重试。"),
    },
    "en": {
        "again": ("This link has been used", "It was used on {used} to {act}; nothing was changed a second time."),
        "expired": ("The reply limit has passed", "This referral does not wait for your answer any more; it may have been offered elsewhere.", "If you can still take it, speak to the platform's coordinator. A new offer comes with a notice of its own."),
        "withdrawn": ("The hospital has withdrawn this referral", "Nothing was changed, and there is nothing more for you to do."),
        "taken": ("Another agency has accepted", "This referral has been taken by another agency; there is nothing more for you to do."),
        "declined": ("Your agency has declined", "The referral has gone on. If that was a mistake, speak to the platform's coordinator."),
        "accepted": ("Your agency has accepted", "It was accepted in another way. Please sign in to go on."),
        "returned": ("Your agency has returned it", "The referral has gone on to be placed elsewhere."),
        "too-late": ("It cannot be returned any more", "The time for it has passed, or work was recorded. If you cannot go on, sign in and say why."),
        "switched-off": ("This mailbox is switched off", "It gets no notices any more, and its links have ended with them. Sign in, or speak to the platform's coordinator."),
        "no-link": ("This link is not valid", "It was cut short on its way, or is older than what is kept.", "Copy the whole link from the mail, or sign in to answer."),
        "unlicensed": ("It cannot be accepted yet", "The directory has no licensed worker of your agency today, so nothing was accepted.", "Ask the platform's coordinator to mend the directory, or decline. The link still works."),
        "no-capacity": ("It cannot be accepted yet", "All places that your agency declared are taken, so nothing was accepted.", "Change your capacity, or speak to the platform's coordinator."),
        "refused": ("That could not be done", "Something changed just now; nothing was stored.", "Open the link again to see how it stands, or sign in."),
        "throttled": ("Please try again later", "Too many links that are not valid came from here.", "Open the link of the mail again in a few minutes."),
        "away": ("The service is away for a moment", "Nothing was changed, and the link still works.", "Try again in a minute or two."),
    },
}  # fmt: skip
"""What a link finds when there is nothing for it to do: the heading, what happened, what to do."""

LANGUAGES: dict[str, dict[str, str]] = {
    "zh": {"zh": "普通话", "zh-cn": "普通话", "cmn": "普通话", "yue": "粤语", "en": "英语", "ug": "维吾尔语", "bo": "藏语", "mn": "蒙古语", "za": "壮语"},
    "en": {"zh": "Mandarin", "zh-cn": "Mandarin", "cmn": "Mandarin", "yue": "Cantonese", "en": "English", "ug": "Uyghur", "bo": "Tibetan", "mn": "Mongolian", "za": "Zhuang"},
}  # fmt: skip


def when(at: datetime, now: datetime, lang: str) -> str:
    """A time as people say it, in Beijing time: today 16:30, tomorrow 09:00, 24 Nov 10:00."""
    local, today = at.astimezone(SHANGHAI), now.astimezone(SHANGHAI).date()
    days = (local.date() - today).days
    near = {"zh": {0: "今天", 1: "明天", -1: "昨天"}, "en": {0: "today", 1: "tomorrow", -1: "yesterday"}}[lang].get(
        days
    )
    if lang == "zh":
        day = near or f"{local.month}月{local.day}日"
        return f"{day} {local:%H:%M}"
    return f"{near or f'{local.day} {local:%b}'} {local:%H:%M}"


def chosen(asked: str | None, accepted: str) -> str:
    """`zh` or `en`: what was asked for, else what the browser would rather have; Chinese where neither says."""
    if asked in ("zh", "en"):
        return asked
    for part in accepted.lower().split(","):
        tag = part.partition(";")[0].strip()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "zh"
