"""The code lists of reaching a person: which rule forbids it, what came of trying, and whose wish the rules are."""

CONTACT_RULE = "urn:yuanshe:contact-rule"
CONTACT_RESULT = "urn:yuanshe:contact-result"
CONTACT_ASKED_BY = "urn:yuanshe:contact-asked-by"

LISTS: tuple[tuple[str, str, str, tuple[tuple[str, str, str], ...]], ...] = (
    # Why nobody may be contacted so, or why something was not told (docs/roster.md).
    (
        CONTACT_RULE, "安全联系规则", "Rules of safe contact",
        (
            ("contact-prohibited", "不得联系本人", "The person must not be contacted"),
            ("supervisor-decides", "每一步由督导决定", "A supervisor decides each step"),
            ("channel-not-safe", "此联系方式不安全", "This way of contact is not safe"),
            ("time-not-safe", "此时段不安全", "This time is not safe"),
            ("no-message", "不得留言", "No message may be left"),
            ("not-disclosed", "身份已不再披露", "Identity is no longer disclosed"),
            ("deceased", "本人已去世", "The person has died"),
            ("sealed", "已封存", "It is sealed"),
        ),
    ),
    # What came of an attempt; ours (D), see docs/follow-up.md.
    (
        CONTACT_RESULT, "联系结果", "Results of trying to reach somebody",
        (
            ("reached", "接通/见到本人", "Reached"),
            ("no-answer", "无人接听/无人在家", "Nobody answered"),
            ("busy", "占线/不便交谈", "Busy, or not a good moment"),
            ("switched-off", "关机/停机", "Switched off"),
            ("wrong-number", "号码错误", "Wrong number"),
            ("moved-away", "已搬走", "Moved away"),
            ("left-message", "已留言/已托人转告", "Left word"),
            ("refused", "拒绝交谈", "Refused to talk"),
            ("sent", "已寄出/已发出", "Sent, without an answer yet"),
            ("other", "其他", "Other"),
        ),
    ),
    (
        CONTACT_ASKED_BY, "安全联系的提出者", "Who asked for safe contact",
        (
            ("patient", "本人", "The person"),
            ("relative", "亲属或监护人", "A relative or guardian"),
            ("hospital", "医院", "The hospital"),
            ("agency", "社会工作服务机构", "The agency"),
            ("authority", "公安或主管部门", "Police or another authority"),
        ),
    ),
)  # fmt: skip
