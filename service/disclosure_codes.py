"""The code lists of consent and disclosure, in Chinese and English (`codes.py` has them all)."""

DATA_CATEGORY = "urn:yuanshe:data-category"
PURPOSE = "urn:yuanshe:purpose"
LEGAL_CAPACITY = "urn:yuanshe:legal-capacity"
ACCESS_REVIEW = "urn:yuanshe:access-review"
DIAGNOSIS_CHAPTER = "urn:yuanshe:diagnosis-chapter"

CHAPTERS = (
    ("I", "A00", "B99", "某些传染病和寄生虫病", "Infectious and parasitic diseases"),
    ("II", "C00", "D48", "肿瘤", "Neoplasms"),
    ("III", "D50", "D89", "血液和免疫疾病", "Diseases of the blood and immune mechanism"),
    ("IV", "E00", "E90", "内分泌、营养和代谢疾病", "Endocrine, nutritional and metabolic diseases"),
    ("V", "F00", "F99", "精神和行为障碍", "Mental and behavioural disorders"),
    ("VI", "G00", "G99", "神经系统疾病", "Diseases of the nervous system"),
    ("VII", "H00", "H59", "眼和附器疾病", "Diseases of the eye"),
    ("VIII", "H60", "H95", "耳和乳突疾病", "Diseases of the ear"),
    ("IX", "I00", "I99", "循环系统疾病", "Diseases of the circulatory system"),
    ("X", "J00", "J99", "呼吸系统疾病", "Diseases of the respiratory system"),
    ("XI", "K00", "K93", "消化系统疾病", "Diseases of the digestive system"),
    ("XII", "L00", "L99", "皮肤和皮下组织疾病", "Diseases of the skin"),
    ("XIII", "M00", "M99", "肌肉骨骼和结缔组织疾病", "Diseases of the musculoskeletal system"),
    ("XIV", "N00", "N99", "泌尿生殖系统疾病", "Diseases of the genitourinary system"),
    ("XV", "O00", "O99", "妊娠、分娩和产褥期", "Pregnancy, childbirth and the puerperium"),
    ("XVI", "P00", "P96", "围生期疾病", "Conditions of the perinatal period"),
    ("XVII", "Q00", "Q99", "先天性畸形和染色体异常", "Congenital malformations"),
    ("XVIII", "R00", "R99", "症状、体征和检验异常", "Symptoms and abnormal findings"),
    ("XIX", "S00", "T98", "损伤、中毒", "Injury and poisoning"),
    ("XX", "V01", "Y98", "疾病和死亡的外因", "External causes"),
    ("XXI", "Z00", "Z99", "影响健康的因素", "Factors influencing health status"),
    ("XXII", "U00", "U99", "特殊目的编码", "Codes for special purposes"),
)
"""ICD-10's chapters: number, first and last category, and what they are about."""


LISTS: tuple[tuple[str, str, str, *tuple[tuple[str, str, str], ...]], ...] = (
    # Domain f-6 and f-7, our own words: what a consent can leave out, and what it can name besides a referral's purposes.
    (
        DATA_CATEGORY,
        "数据类别",
        "Categories of data",
        ("contact", "身份与联系方式", "Identity and contact"),
        ("need", "需求", "Needs"),
        ("stay", "住院经过", "Hospital stay"),
        ("screening", "筛查与评估", "Screening and assessment"),
        ("clinical", "诊断与病情", "Diagnoses and findings"),
        ("documents", "文件资料", "Documents"),
    ),
    (
        PURPOSE,
        "其他目的",
        "Further purposes",
        ("volunteer", "志愿者探访", "Visits by a volunteer"),
    ),
    (
        LEGAL_CAPACITY,
        "民事行为能力",
        "Legal capacity",
        ("full", "完全民事行为能力", "Full capacity"),
        ("limited", "限制民事行为能力", "Limited capacity"),
        ("none", "无民事行为能力", "No capacity"),
    ),
    # The chapters of ICD-10 (WHO), by their numbers.
    (
        DIAGNOSIS_CHAPTER,
        "诊断大类",
        "Groups of diagnoses",
        *((number, zh, en) for number, _, _, zh, en in CHAPTERS),
    ),
    (
        ACCESS_REVIEW,
        "紧急查阅复核结论",
        "Outcome of an access review",
        ("justified", "有正当理由", "Justified"),
        ("not-justified", "无正当理由", "Not justified"),
    ),
)


def chapter(code: str) -> str | None:
    """The number of the ICD-10 chapter that a code belongs to."""
    category = code.strip().upper()[:3]
    return next((number for number, first, last, _, _ in CHAPTERS if first <= category <= last), None)
