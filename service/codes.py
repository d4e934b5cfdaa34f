"""Every code list of this project as data, in Chinese and English, and how other lists' codes map to our needs."""

import re
from datetime import date
from functools import lru_cache

import msgspec

from service import case_codes, contact_codes, disclosure_codes, safety_codes
from service.values import URGENCIES, age_on


class Concept(msgspec.Struct, frozen=True):
    """One code with its two labels; labels are looked up by code, never the other way round."""

    code: str
    zh: str
    en: str


class CodeList(msgspec.Struct, frozen=True):
    """A code system of ours; `concepts` in the order in which people should see them."""

    system: str
    name_zh: str
    name_en: str
    concepts: tuple[Concept, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(concept.code for concept in self.concepts)


def _list(system: str, zh: str, en: str, *rows: tuple[str, str, str]) -> CodeList:
    return CodeList(system, zh, en, tuple(Concept(*row) for row in rows))


NEED = "urn:yuanshe:need"
SERVICE_TYPE = "urn:yuanshe:service-type"
SOURCE = "urn:yuanshe:source"
URGENCY = "urn:yuanshe:urgency"
DECLINE_REASON = "urn:yuanshe:decline-reason"
CLOSURE_REASON = "urn:yuanshe:closure-reason"
FOLLOW_UP_OUTCOME = "urn:yuanshe:follow-up-outcome"
BUSINESS_STATUS = "urn:yuanshe:business-status"
TASK_CODE = "urn:yuanshe:task-code"
AGE_BAND = "urn:yuanshe:age-band"
CRISIS = "urn:yuanshe:crisis"
MESSAGE = "urn:yuanshe:message"
NO_IDENTIFIER_REASON = "urn:yuanshe:no-identifier-reason"
CONSENT_KIND = "urn:yuanshe:consent-kind"
DATA_CATEGORY, PURPOSE = disclosure_codes.DATA_CATEGORY, disclosure_codes.PURPOSE
LEGAL_CAPACITY, ACCESS_REVIEW = disclosure_codes.LEGAL_CAPACITY, disclosure_codes.ACCESS_REVIEW
DIAGNOSIS_CHAPTER = disclosure_codes.DIAGNOSIS_CHAPTER
CAPACITY_STATUS = "urn:yuanshe:capacity-status"
POPULATION = "urn:yuanshe:population"
GRADE = "urn:yuanshe:grade"
ORGANIZATION_KIND = "urn:yuanshe:organization-kind"
AGENCY_STATUS = "urn:yuanshe:agency-status"
DISPATCH_MODE = "urn:yuanshe:dispatch-mode"
METHOD = "urn:yuanshe:method"
CASE_PHASE = "urn:yuanshe:case-phase"
CHANNEL = "urn:yuanshe:channel"
ACTIVITY = "urn:yuanshe:activity"
ABSENCE_REASON = "urn:yuanshe:absence-reason"
CO_WORK_ROLE = "urn:yuanshe:co-work-role"
CONTACT_RULE, CONTACT_RESULT = contact_codes.CONTACT_RULE, contact_codes.CONTACT_RESULT
CONTACT_ASKED_BY = contact_codes.CONTACT_ASKED_BY
DISPOSITION = "urn:oid:2.16.156.10011.2.3.1.265"
REGION = "urn:yuanshe:region"
"""GB/T 2260 with its streets: its concepts are the directory's region table, so it is no list here."""

DUTIES = (
    ("notify-later", "补办告知", "Notify the person afterwards"),
    ("bereavement", "丧亲关怀", "Offer bereavement support to the family"),
    ("review-access", "复核紧急查阅", "Review an access without a ground"),
    ("merge-review", "复核合并后的转介", "Review the referrals of merged records"),
    ("missed-visit", "补访未完成的走访", "Visit who was to be visited and was not"),
    ("review-contact", "督导复核不安全的联系", "A supervisor reviews an unsafe contact"),
    ("name-receiving", "补充接收机构名称", "Name the institution that a person was transferred to"),
    ("refer-new-need", "确认新需求并转介", "Refer a new need that a follow-up found"),
    ("decide-contact", "督导决定联系方式", "A supervisor decides on the contact"),
)
"""What may be owed on a referral beside its one next step; each is the code of a Task."""
DUTY_WORDS = tuple(word for word, *_ in DUTIES)

LISTS: dict[str, CodeList] = {
    codes.system: codes
    for codes in (
        # Domain d-2.
        _list(
            NEED, "需求类别", "Need categories",
            ("N01", "经济与医疗费用困难", "Financial or medical cost difficulty"),
            ("N02", "医保与福利政策", "Insurance and benefits"),
            ("N03", "情绪心理", "Emotional distress and adjustment"),
            ("N04", "家庭照顾", "Caregiving"),
            ("N05", "出院安置与过渡", "Discharge placement and transition"),
            ("N06", "家庭关系", "Family relations"),
            ("N07", "社会支持不足/独居", "Lack of social support, living alone"),
            ("N08", "医患沟通与依从", "Communication and adherence"),
            ("N09", "临终与安宁疗护", "End of life and palliative care"),
            ("N10", "丧亲哀伤", "Bereavement"),
            ("N11", "自杀自伤", "Suicide or self-harm"),
            ("N12", "家暴与成人虐待", "Domestic violence or abuse of an adult"),
            ("N13", "儿童虐待/侵害", "Abuse of a child"),
            ("N14", "遗弃、无监护", "Abandonment, no guardian"),
            ("N15", "身份不明/三无", "Unidentified, or without means"),
            ("N16", "儿童就学与成长", "Schooling and child development"),
            ("N17", "就业生计", "Employment and livelihood"),
            ("N18", "交通住宿", "Transport and lodging"),
            ("N19", "康复与社会融入", "Rehabilitation and social inclusion"),
            ("N99", "其他", "Other"),
        ),
        # Domain d-3: the first block as the source briefs name them, the rest this project's medical additions.
        _list(
            SERVICE_TYPE, "服务类型", "Service types",
            ("resource-linkage", "资源链接", "Resource linkage"),
            ("psych-support", "心理疏导", "Psychological support"),
            ("humanistic-care", "人文关怀", "Humanistic care"),
            ("capacity", "能力提升", "Capacity building"),
            ("livelihood", "生计发展", "Livelihood development"),
            ("relationship", "关系调适", "Relationship adjustment"),
            ("inclusion", "社会融入", "Social inclusion"),
            ("personal-care", "照料护理", "Personal care support"),
            ("companionship", "陪伴探访", "Companionship and visits"),
            ("home-modification", "居住空间改造", "Home modification"),
            ("policy-advice", "政策咨询/福利申请", "Policy advice and benefit applications"),
            ("discharge-planning", "出院计划", "Discharge planning"),
            ("bereavement", "丧亲哀伤辅导", "Bereavement support"),
            ("crisis", "危机介入", "Crisis intervention"),
            ("doctor-patient", "医患沟通", "Doctor–patient communication"),
            ("charity-aid", "慈善救助", "Charity aid"),
            ("caregiver-support", "照顾者支持", "Caregiver support"),
            ("volunteer", "志愿服务", "Volunteer service"),
        ),
        # Domain d-1.
        _list(
            SOURCE, "转介来源", "Sources of a referral",
            ("ward-doctor", "医生转介", "Ward doctor"),
            ("ward-nurse", "护士转介", "Ward nurse"),
            ("screening", "主动筛查发现", "Screening"),
            ("self", "患者自行求助", "The patient"),
            ("family", "家属求助", "The family"),
            ("community", "社区/社工站转入", "Community or station"),
            ("government", "部门转入", "Government department"),
            ("system-rule", "系统预警", "System alert"),
            # Domain row 38: found by looking for who needs help.
            ("proactive", "主动发现", "Found by outreach"),
        ),
        # Domain d-4: U1 to U4 under the codes of FHIR's request priority.
        _list(
            URGENCY, "紧急程度", "Urgency",
            ("stat", "危机", "Crisis"),
            ("asap", "紧急", "Urgent"),
            ("urgent", "优先", "Priority"),
            ("routine", "一般", "Routine"),
        ),
        # Domain d-6.
        _list(
            DECLINE_REASON, "退单原因", "Reasons to decline or refuse",
            ("no-capacity", "名额已满", "No capacity"),
            ("waitlist", "需排队等候", "Waiting list"),
            ("out-of-area", "超出服务区域", "Outside the service area"),
            ("service-not-offered", "不提供该服务", "Service not offered"),
            ("ineligible", "不符合服务条件", "Not eligible"),
            ("needs-more-info", "信息不足", "More information needed"),
            ("needs-further-assessment", "需进一步评估", "Further assessment needed"),
            ("conflict-of-interest", "利益冲突", "Conflict of interest"),
            ("safety", "安全原因", "Safety"),
            ("duplicate", "重复转介", "Duplicate"),
            ("expired", "超时未答复", "Reply limit passed"),
            ("no-consent", "未获同意", "No consent"),
        ),
        # Domain d-7: five textbook situations, then events of a hospital.
        _list(
            CLOSURE_REASON, "结案原因", "Reasons to close",
            ("goals-met", "目标达成", "Goals met"),
            ("capable", "已具备自助能力", "Able to manage without the service"),
            ("client-ended", "服务对象要求结束", "Ended by the client"),
            ("new-need-transfer", "新需求转其他社工或机构", "New need, transferred"),
            ("unforeseen", "不可预测因素", "Unforeseen circumstances"),
            ("moved", "迁离", "Moved away"),
            ("lost", "失访", "Lost to follow-up"),
            ("deceased", "死亡", "Deceased"),
            ("worker-agency-change", "社工或机构变动", "Change of worker or agency"),
            ("consent-withdrawn", "撤回同意", "Consent withdrawn"),
            ("ineligible", "不符合服务条件", "Not eligible"),
            ("duplicate", "重复转介", "Duplicate"),
        ),
        # Domain d-5.
        _list(
            FOLLOW_UP_OUTCOME, "随访结果", "Follow-up outcomes",
            ("stable", "情况稳定", "Stable"),
            ("need-met", "需求已满足", "Need met"),
            ("need-persisting", "需求仍在", "Need persists"),
            ("new-need", "出现新需求", "New need"),
            ("readmitted", "再入院", "Readmitted"),
            ("ed-visit", "急诊就诊", "Emergency visit"),
            ("moved", "迁离", "Moved away"),
            ("declined", "拒绝随访", "Declined follow-up"),
            ("unreachable", "未联系上", "Not reached"),
            ("lost", "失访", "Lost to follow-up"),
            ("deceased", "死亡", "Deceased"),
            ("crisis", "危机", "Crisis"),
        ),
        # moves.md, last columns; `scheduled` and `no-show` stand for visits within a Task.
        _list(
            BUSINESS_STATUS, "业务状态", "Business status",
            ("offered", "已派单", "Offered"),
            ("unplaced", "待协调派单", "Not placed: with the coordinator"),
            ("awaiting-information", "待补充信息", "Awaiting information"),
            ("accepted", "已接单", "Accepted"),
            ("awaiting-consent", "待取得同意", "Awaiting consent"),
            ("scheduled", "已约定", "Scheduled"),
            ("no-show", "未赴约", "No show"),
            ("in-service", "服务中", "In service"),
            ("paused", "暂停", "Paused"),
            ("re-routing", "重新派单", "Being placed again"),
            ("cancellation-requested", "已请求撤回", "Cancellation requested"),
            ("declined", "已退单", "Declined"),
            ("expired", "超时未答复", "Reply limit passed"),
            ("not-selected", "他方已接单", "Another agency accepted first"),
            ("returned", "接单后退回", "Returned"),
            ("refused", "不受理", "Refused"),
            ("withdrawn", "已撤回", "Withdrawn"),
            ("failed", "未成功", "Failed"),
            ("closed", "已闭环", "Closed"),
            ("follow-up", "随访中", "In follow-up"),
            ("overdue", "已逾期", "Overdue"),
        ),
        _list(
            TASK_CODE, "任务代码", "Task codes",
            ("follow-up", "随访", "Follow-up after discharge"),
            *DUTIES,
            ("outcome", "随访结果", "Outcome of a follow-up"),
            ("need", "新需求", "New need that a follow-up found"),
            ("referral", "新转介", "New referral that followed"),
        ),
        # Domain f-7: an offer shows a band, an offer with a safety need only minor, adult or elder.
        _list(
            AGE_BAND, "年龄段", "Age bands",
            ("0-5", "0—5岁", "0 to 5"),
            ("6-13", "6—13岁", "6 to 13"),
            ("14-17", "14—17岁", "14 to 17"),
            ("18-39", "18—39岁", "18 to 39"),
            ("40-59", "40—59岁", "40 to 59"),
            ("60-74", "60—74岁", "60 to 74"),
            ("75-84", "75—84岁", "75 to 84"),
            ("85-plus", "85岁及以上", "85 and over"),
            ("minor", "未成年人", "Minor"),
            ("adult", "成年人", "Adult"),
            ("elder", "老年人", "Elder"),
            ("unknown", "不详", "Unknown"),
        ),
        # Domain b-4.
        _list(
            CRISIS, "危机步骤", "Crisis steps",
            ("raised", "上报危机", "Raised"),
            ("acknowledged", "已响应", "Acknowledged"),
            ("safety-planned", "已制定安全计划", "Safety plan made"),
            ("reported", "已报告", "Reported"),
            ("stood-down", "解除", "Stood down"),
        ),
        _list(
            MESSAGE, "消息类别", "Kinds of message",
            ("question", "询问", "Question"),
            ("answer", "答复", "Answer"),
            ("receipt", "转介回执", "Referral receipt"),
            ("crisis", "危机步骤", "Crisis step"),
            ("contact", "联系记录", "Contact attempt"),
            ("note", "说明", "Note"),
        ),
        # Domain f-1.
        _list(
            NO_IDENTIFIER_REASON, "无证件原因", "Reasons for having no identifier",
            ("no-household-registration", "无户籍", "No household registration"),
            ("unidentified", "无名氏", "Unidentified"),
            ("newborn", "新生儿", "Newborn"),
            ("refused", "拒绝提供", "Refused"),
        ),
        # Domain f-6: what identity may be opened on.
        _list(
            CONSENT_KIND, "同意或合法依据", "Consent or lawful basis",
            ("consent", "单独同意", "Separate consent"),
            ("legal-duty", "法定职责", "Legal duty"),
            ("emergency", "紧急情况", "Emergency"),
            ("break-glass", "紧急查阅", "Break-glass"),
        ),
        # The four words of SDOHCC HealthcareService capacity status.
        *(_list(*each) for each in disclosure_codes.LISTS),
        _list(
            CAPACITY_STATUS, "名额状态", "Capacity status",
            ("capacity", "有名额", "Has capacity"),
            ("no-capacity", "无名额", "No capacity"),
            ("waitlist", "需排队", "Waiting list"),
            ("additional-assessment-required", "需先评估", "Assessment needed first"),
        ),
        _list(
            POPULATION, "服务人群", "Populations",
            ("minor", "未成年人", "Minors"),
            ("adult", "成年人", "Adults"),
            ("elder", "老年人", "Elders"),
            ("disabled", "残疾人", "Persons with a disability"),
            ("left-behind-child", "留守儿童", "Left-behind children"),
            ("unattended-child", "事实无人抚养儿童", "De facto unattended children"),
            ("child-in-difficulty", "困境儿童", "Children in difficulty"),
            ("living-alone", "独居老人", "Elders living alone"),
            ("empty-nest", "空巢老人", "Empty-nest elders"),
            ("seasonal-elder", "候鸟老人", "Seasonal elders"),
            ("relocated", "易地搬迁户", "Relocated households"),
        ),
        _list(
            GRADE, "社会工作师级别", "Grades of a licensed social worker",
            ("assistant", "助理社会工作师", "Assistant social worker"),
            ("certified", "社会工作师", "Certified social worker"),
            ("senior", "高级社会工作师", "Senior social worker"),
        ),
        _list(
            ORGANIZATION_KIND, "机构类别", "Kinds of organisation",
            ("platform", "协作平台", "Coordination platform"),
            ("hospital", "医院", "Hospital"),
            ("campus", "院区", "Hospital campus"),
            ("agency", "社会工作服务机构", "Social work agency"),
            ("station", "社工站", "Social work station"),
            ("room", "社工室", "Community social work room"),
            ("base", "孵化基地", "Incubation base"),
        ),
        _list(
            AGENCY_STATUS, "机构状态", "Status of an agency",
            ("incubating", "孵化中", "Incubating"),
            ("accredited", "已认可", "Accredited"),
            ("suspended", "暂停", "Suspended"),
        ),
        _list(
            DISPATCH_MODE, "派单方式", "Ways of dispatch",
            ("sequence", "依次派单", "One after another"),
            ("broadcast", "同时派单", "All at once, first one wins"),
            ("manual", "人工派单", "By the coordinator"),
        ),
        _list(
            METHOD, "工作方法", "Methods",
            ("casework", "个案", "Casework"),
            ("group", "小组", "Group work"),
            ("community", "社区", "Community work"),
        ),
        # Domain b-2: assessment (预估) comes before the plan, evaluation (评估) after the work.
        _list(
            CASE_PHASE, "个案阶段", "Phases of a case",
            ("intake", "接案", "Intake"),
            ("assessment", "预估", "Assessment"),
            ("plan", "计划", "Planning"),
            ("intervention", "介入", "Intervention"),
            ("evaluation", "评估", "Evaluation"),
            ("closure", "结案", "Closure"),
            ("follow-up", "跟进", "Follow-up"),
            ("archive", "归档", "Archived"),
        ),
        *(_list(*each) for each in case_codes.LISTS),
        # The first four are the rungs of the loss ladder, in its order (domain b-3).
        _list(
            CHANNEL, "联系方式", "Ways of contact",
            ("phone", "电话", "Telephone"),
            ("visit", "入户走访", "Home visit"),
            ("community", "居委会/派出所", "Neighbourhood committee or police station"),
            ("letter", "信函", "Letter"),
            ("message", "短信/微信", "Text message"),
            ("video", "视频", "Video call"),
            ("office", "来访", "Visit to the office"),
            ("other", "其他", "Other"),
        ),
        *(_list(system, zh, en, *rows) for system, zh, en, rows in contact_codes.LISTS),
        # Fourteen items, so that a day is written down in two keystrokes (a pick-list and minutes); our own choice (D). The last
        # three are administration, see `ADMINISTRATIVE` (domain a, row 17).
        _list(
            ACTIVITY, "工作内容", "What time was spent on",
            ("interview", "面谈", "Interview"),
            ("home-visit", "入户走访", "Home visit"),
            ("telephone", "电话服务", "Telephone"),
            ("assessment", "需求评估", "Assessment"),
            ("counselling", "辅导支持", "Counselling and support"),
            ("coordination", "服务协调", "Coordination with others"),
            ("resource-linkage", "资源链接", "Resource linkage"),
            ("crisis-response", "危机介入", "Crisis response"),
            ("group-session", "小组活动", "Group session"),
            ("case-recording", "个案记录", "Case recording"),
            ("supervision", "专业督导", "Professional supervision"),
            ("meeting", "行政会议", "Administrative meeting"),
            ("reporting", "报表迎检", "Reports and inspections"),
            ("errand", "其他行政事务", "Other administrative work"),
        ),
        _list(
            ABSENCE_REASON, "离岗原因", "Reasons to hand work over",
            ("leave", "休假", "Leave"),
            ("sickness", "病假", "Sickness"),
            ("training", "培训", "Training"),
            ("departure", "离职或调岗", "Left, or moved to other work"),
            ("other", "其他", "Other"),
        ),
        _list(
            CO_WORK_ROLE, "协同角色", "Roles of a second worker",
            ("co-worker", "协同社工", "Works on the case too"),
            ("co-visitor", "陪同走访", "Comes along on visits"),
            ("mentor", "带教", "Mentor"),
        ),
        *(_list(system, zh, en, *rows) for system, zh, en, rows in safety_codes.LISTS),
        # The national code of how a stay ends (domain b-3).
        _list(
            DISPOSITION, "离院方式", "Discharge disposition",
            ("1", "医嘱离院", "Discharged by order"),
            ("2", "医嘱转院", "Transferred by order"),
            ("3", "医嘱转社区卫生服务机构/乡镇卫生院", "Transferred to a community or township health centre"),
            ("4", "非医嘱离院", "Left against advice"),
            ("5", "死亡", "Died"),
            ("9", "其他", "Other"),
        ),
    )
}  # fmt: skip

_LABELS = {(system, c.code): {"zh": c.zh, "en": c.en} for system, codes in LISTS.items() for c in codes.concepts}

SAFETY = "safety"
"""In NEED, of an offer only: all that it says of a safety need before disclosure. Nobody can ask for it."""
_WORDS = _LABELS | {(NEED, SAFETY): {"zh": "人身安全", "en": "Safety"}}

ADMINISTRATIVE = frozenset({"meeting", "reporting", "errand"})
"""Activities that are administration; every other one is professional work."""

OTHER_NEED = "N99"
SAFETY_NEEDS = frozenset({"N11", "N12", "N13", "N14"})
"""Needs whose offers say less still, and go to protection-qualified agencies alone (domain f-7)."""

_FLOORS = {"N05": "urgent", "N09": "urgent", "N15": "asap"} | dict.fromkeys(SAFETY_NEEDS, "stat")

SDOHCC = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
_FROM_SDOHCC: dict[str, tuple[str, ...]] = {
    "medical-cost-burden": ("N01",),
    "financial-insecurity": ("N01",),
    "health-insurance-coverage-status": ("N02",),
    "stress": ("N03",),
    "social-connection": ("N04", "N06", "N07", "N19"),
    "inadequate-housing": ("N05",),
    "personal-health-literacy": ("N08",),
    "intimate-partner-violence": ("N12",),
    "elder-abuse": ("N12",),
    "homelessness": ("N15",),
    "educational-attainment": ("N16",),
    "employment-status": ("N17",),
    "transportation-insecurity": ("N18",),
    "sdoh-category-unspecified": (OTHER_NEED,),
}

# ICD-10 without dots. A national or clinical edition subdivides further (Z59.600x001), so a longer code falls under the
# longest entry that it begins with. Z63.6 and Z63.4 stand by themselves and so win over the range Z63.0 to Z63.7;
# likewise T74.0 over T74. Z59.86 and Z59.87 are ICD-10-CM's own words for want of money, under WHO's Z59.8, "other".
_FROM_ICD10: dict[str, tuple[str, ...]] = {
    "Z596": ("N01",),
    "Z5986": ("N01",),
    "Z5987": ("N01",),
    "Z597": ("N01", "N02"),
    "Z733": ("N03",),
    "Z636": ("N04",),
    "Z742": ("N04",),
    "Z751": ("N05",),
    **{f"Z63{digit}": ("N06",) for digit in "012357"},
    "Z602": ("N07",),
    "Z532": ("N08",),
    "Z515": ("N09",),
    "Z634": ("N10",),
    "Z915": ("N11",),
    "T74": ("N12", "N13"),
    "Z620": ("N14",),
    "T740": ("N14",),
    "Z590": ("N15",),
    "Z55": ("N16",),
    "Z56": ("N17",),
    "Z598": ("N18",),
    "Z736": ("N19",),
}
_ICD10_OIDS = ("urn:oid:2.16.840.1.113883.6.3", "urn:oid:2.16.840.1.113883.6.90")
_ICD10_SHAPE = re.compile(r"[A-Z][0-9][0-9A-Z]{1,10}")


def diagnosis_chapter(system: str, code: str) -> str | None:
    """The number of the ICD-10 chapter that a code belongs to; None for codes of other systems."""
    return disclosure_codes.chapter(code) if is_icd10(system) else None


def known(system: str, code: str) -> bool:
    """Whether `code` stands in our list `system`."""
    return (system, code) in _LABELS


def label(system: str, code: str, lang: str = "zh") -> str:
    """The words for a code, in `zh` or `en`; the code itself where the list does not know it."""
    labels = _WORDS.get((system, code))
    return labels["en" if lang.startswith("en") else "zh"] if labels else code


def is_icd10(system: str) -> bool:
    """Whether a coding's system is ICD-10 in any edition (WHO's, a national one, or by its OID)."""
    return system.startswith("http://hl7.org/fhir/sid/icd-10") or system in _ICD10_OIDS


@lru_cache(maxsize=4096)
def needs_of(system: str, code: str) -> tuple[str, ...]:
    """The needs that a code stands for: our own, an SDOHCC category's, or an ICD-10 code's; `()` where none is mapped.

    An exact code wins over a range; a code that fits several needs gives them all (domain d-2; the mapping is this
    project's own). What an unmapped code means is the caller's to decide: N99, with the sender's text kept.
    """
    if system == NEED:
        return (code,) if known(NEED, code) else ()
    if system == SDOHCC:
        return _FROM_SDOHCC.get(code, ())
    if is_icd10(system):
        bare = code.strip().upper().replace(".", "")
        if not _ICD10_SHAPE.fullmatch(bare):
            return ()
        return next((_FROM_ICD10[bare[:end]] for end in range(len(bare), 2, -1) if bare[:end] in _FROM_ICD10), ())
    return ()


def is_safety(needs: tuple[str, ...] | frozenset[str] | list[str]) -> bool:
    """Whether any of these needs is one of safety (N11 to N14)."""
    return not SAFETY_NEEDS.isdisjoint(needs)


def floor_urgency(needs: tuple[str, ...] | frozenset[str] | list[str]) -> str:
    """The least urgency that these needs allow (domain d-2: U1 is `stat`, U2 `asap`, U3 `urgent`)."""
    return max((_FLOORS.get(need, "routine") for need in needs), key=URGENCIES.index, default="routine")


_BANDS = ((6, "0-5"), (14, "6-13"), (18, "14-17"), (40, "18-39"), (60, "40-59"), (75, "60-74"), (85, "75-84"))
_COARSE = {
    "0-5": "minor", "6-13": "minor", "14-17": "minor", "18-39": "adult", "40-59": "adult",
    "60-74": "elder", "75-84": "elder", "85-plus": "elder",
}  # fmt: skip


def age_band(birth: date | None, day: date) -> str:
    """The band that an offer shows instead of a birth date; `unknown` without one, or with one in the future."""
    if birth is None or birth > day:
        return "unknown"
    age = age_on(birth, day)
    return next((band for limit, band in _BANDS if age < limit), "85-plus")


def coarse_age_band(band: str) -> str:
    """`minor`, `adult` or `elder` (60 and over), all that an offer with a safety need may say; `unknown` stays so."""
    return _COARSE.get(band, band if band in ("minor", "adult", "elder") else "unknown")
