"""What each hard rule can say, in the order in which rules are asked, with its result and its words in both languages."""

RULES: dict[str, dict[str, tuple[str, str, str]]] = {
    "partnership": {
        "in-force": ("pass", "合作协议有效", "The partnership is in force."),
        "not-begun": ("fail", "合作协议尚未生效", "The partnership has not begun."),
        "ended": ("fail", "合作协议已到期", "The partnership has ended."),
    },
    "need": {
        "served": ("pass", "需求均在服务范围内", "Every need is served."),
        "not-agreed": ("fail", "合作协议不含该需求", "The partnership does not cover every need."),
        "not-offered": ("fail", "机构不提供该需求的服务", "The agency's service does not cover every need."),
        "no-service": ("fail", "机构没有在用的服务项目", "The agency has no service in the catalogue."),
        "uncoded": ("unknown", "需求类别不明", "The need is not coded: nobody can tell who serves it."),
    },
    "region": {
        "covered": ("pass", "在服务区域内", "The person's region is covered."),
        "outside": ("fail", "不在服务区域内", "The person's region is not covered."),
        "coarse": (
            "unknown",
            "地址不够详细",
            "The person's region is known too roughly: only a part of it is covered.",
        ),
        "no-region": ("unknown", "地址区划不详", "The person's region is not known."),
    },
    "capacity": {
        "free": ("pass", "有空余名额", "There is a free place."),
        "full": ("fail", "名额已满", "Every place is held."),
        "no-capacity": ("fail", "机构声明无名额", "The agency says that it has no capacity."),
        "waitlist": ("fail", "机构声明需排队", "The agency says that there is a waiting list."),
        "assessment": ("unknown", "机构要求先评估", "The agency assesses first whether it has capacity."),
        "no-service": ("fail", "机构没有在用的服务项目", "The agency has no service in the catalogue."),
    },
    "worker": {
        "licensed": ("pass", "有持证社工", "There is a licensed worker."),
        "unlicensed": ("fail", "没有持证社工", "No worker is licensed on this day."),
    },
    "ready": {
        "ready": ("pass", "机构已认可并就绪", "The agency is accredited and ready."),
        "co-supervised": ("pass", "孵化中,有机构协同督导", "The agency is incubating, with a co-supervisor."),
        "not-ready": ("fail", "机构未就绪", "An item of the readiness checklist is missing."),
        "incubating": ("fail", "孵化中,没有协同督导", "The agency is incubating, without a co-supervisor."),
        "suspended": ("fail", "机构已暂停", "The agency is suspended."),
        "inactive": ("fail", "机构已停用", "The agency is no longer active."),
    },
    "protection": {
        "not-asked": ("pass", "不涉及安全需求", "No safety need is involved."),
        "qualified": ("pass", "具备保护服务资质", "The agency is qualified for protection."),
        "unqualified": ("fail", "不具备保护服务资质", "The agency is not qualified for protection."),
    },
    "untried": {
        "first": ("pass", "尚未派过", "The agency has not had its turn."),
        "tried": ("fail", "已派过", "The agency has had its turn."),
    },
}

QUESTIONS: dict[str, tuple[str, str]] = {
    "uncoded": ("需要哪一类服务?", "Which kind of need is it?"),
    "coarse": ("出院后住在哪个区县、街道?", "In which county and street does the person live now?"),
    "no-region": ("出院后住在哪里(区划代码)?", "Where does the person live now (region code)?"),
    "assessment": ("机构评估后能否接收?", "Does the agency, having assessed, have capacity?"),
}


def question(key: str, lang: str = "zh") -> str:
    """The words of a question that stands between a referral and its automatic offer."""
    zh, en = QUESTIONS[key]
    return en if lang.startswith("en") else zh
