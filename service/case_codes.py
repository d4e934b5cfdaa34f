"""The code lists of a case and its file, in Chinese and English; `service/codes.py` holds them with all the others."""

CASE_DOCUMENT = "urn:yuanshe:case-document"
CASE_ORPHAN = "urn:yuanshe:case-orphan"
GOAL_TYPE = "urn:yuanshe:goal-type"
CLIENT_UNIT = "urn:yuanshe:client-unit"
CONTACT_TYPE = "urn:yuanshe:contact-type"
COORDINATION = "urn:yuanshe:coordination"
BENEFIT = "urn:yuanshe:benefit"
DOMAIN = "urn:yuanshe:domain"

Row = tuple[str, str, str]

LISTS: tuple[tuple[str, str, str, *tuple[Row, ...]], ...] = (
    # Domain b-2: what a case file is made of; service/casework/phases.py says which of them each phase needs.
    (
        CASE_DOCUMENT, "个案文书", "Case documents",
        ("intake-form", "接案登记表", "Intake form"),
        ("service-consent", "知情同意（服务）书", "Consent to the service"),
        ("risk-screen", "风险筛查", "Risk screen"),
        ("needs-assessment", "需求评估表", "Needs assessment"),
        ("problem-list", "问题清单", "Problem list"),
        ("service-plan", "服务计划", "Service plan"),
        ("client-agreement", "服务对象确认书", "Client's agreement to the plan"),
        ("process-note", "过程记录", "Process note"),
        ("supervision-note", "督导记录", "Supervision note"),
        ("evaluation", "成效评估表", "Evaluation of results"),
        ("closure-summary", "结案表", "Closure summary"),
        ("receipt", "转介回执", "Referral receipt"),
        ("follow-up-record", "回访记录", "Follow-up record"),
    ),
    # Where the chain need → goal → intervention → outcome is broken (domain row 16).
    (
        CASE_ORPHAN, "脱节之处", "Broken links",
        ("need-without-goal", "需求没有对应目标", "A need without a goal"),
        ("goal-without-measure", "目标没有衡量标准", "A goal without a measure"),
        ("intervention-without-goal", "介入没有对应目标", "An intervention without a goal"),
        ("goal-without-outcome", "结案时目标没有结果", "A goal without an outcome at closure"),
    ),
    # Domain row 2: 舒缓、解决、预防 problems, 恢复和发展 social functioning.
    (
        GOAL_TYPE, "目标类型", "Types of goal",
        ("relieve", "舒缓", "Relieve"),
        ("resolve", "解决", "Resolve"),
        ("prevent", "预防", "Prevent"),
        ("restore", "恢复社会功能", "Restore social functioning"),
        ("develop", "发展社会功能", "Develop social functioning"),
    ),
    (
        CLIENT_UNIT, "服务单位", "Whom the work is with",
        ("individual", "个人", "Individual"),
        ("family", "家庭", "Family"),
        ("group", "小组", "Group"),
        ("institution", "机构", "Institution"),
        ("community", "社区", "Community"),
    ),
    # Domain row 38, then two ordinary ones.
    (
        CONTACT_TYPE, "接触方式", "Kinds of contact",
        ("home-visit", "入户走访", "Home visit"),
        ("screening-out", "对象排查", "Looking for who needs help"),
        ("information-check", "信息核查", "Checking of information"),
        ("policy-advice", "政策宣传", "Advice on policies"),
        ("interview", "面谈", "Interview"),
        ("phone", "电话", "Telephone"),
    ),
    # Domain rows 41 and 47: who else has a part in settling something.
    (
        COORDINATION, "协调部门", "Partners in coordination",
        ("police", "派出所", "Police station"),
        ("women-federation", "妇联", "Women's federation"),
        ("education", "教育部门", "Education authority"),
        ("civil-affairs", "民政部门", "Civil affairs"),
        ("disabled-federation", "残联", "Disabled persons' federation"),
        ("health", "卫生健康部门", "Health authority"),
        ("neighbourhood", "居（村）委会", "Neighbourhood or village committee"),
        ("other", "其他", "Other"),
    ),
    # Domain row 42.
    (
        BENEFIT, "福利申请", "Applications for benefits",
        ("applied", "已申请", "Applied for"),
        ("approved", "已批准", "Approved"),
        ("refused", "未批准", "Refused"),
    ),
    # Domain row 36.
    (
        DOMAIN, "服务领域", "Domains of service",
        ("social-assistance", "社会救助", "Social assistance"),
        ("elder-care", "养老", "Care of the elderly"),
        ("children", "儿童", "Children"),
        ("social-affairs", "社会事务", "Social affairs"),
        ("community-governance", "社区治理", "Community governance"),
    ),
)  # fmt: skip
"""System, name in Chinese, name in English, then the concepts."""
