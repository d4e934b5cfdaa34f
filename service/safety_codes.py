"""Code lists of safety as data: risk in a crisis, and what a mandatory report says. `service.codes` takes them in."""

RISK = "urn:yuanshe:risk"
REPORT_SITUATION = "urn:yuanshe:report-situation"
REPORT_CHANNEL = "urn:yuanshe:report-channel"
PRESERVED = "urn:yuanshe:preserved"

LISTS: tuple[tuple[str, str, str, tuple[tuple[str, str, str], ...]], ...] = (
    # Domain b-4: the bands of a primary-hospital guide; recorded with the safety plan.
    (
        RISK, "危机风险", "Risk in a crisis",
        (
            ("low", "低", "Low"),
            ("medium", "中", "Medium"),
            ("high", "高", "High"),
            ("imminent", "紧迫", "Imminent"),
        ),
    ),
    # Nine national situations and a local one, in short; in full in service/safety/duties.json, still to be checked.
    (
        REPORT_SITUATION, "强制报告情形", "Situations of a mandatory report",
        (
            ("private-injury", "隐私部位非正常损伤", "Abnormal injury of private parts"),
            ("girl-under-14", "不满十四周岁女性遭性侵、怀孕、流产", "Girl under 14: assault, pregnancy, abortion"),
            ("girl-from-14", "十四周岁以上女性未成年人遭性侵致怀孕、流产", "Girl of 14 or over: pregnancy or abortion from assault"),
            ("injury-or-neglect", "多处损伤、严重营养不良、意识不清", "Multiple injuries, malnutrition, clouded consciousness"),
            ("unnatural-harm", "非正常原因致伤残、死亡", "Disability or death from an unnatural cause"),
            ("abandoned", "被遗弃或无人照料", "Abandoned or without care"),
            ("unknown-origin", "来源不明、失踪、被拐卖", "Of unknown origin, missing, trafficked"),
            ("begging", "被组织乞讨", "Made to beg"),
            ("other-harm", "其他严重侵害或正面临危险", "Other grave harm or present danger"),
            ("local", "本地规定的其他情形", "Another situation of the local rules"),
            ("adult-violence", "成年人疑似遭受家庭暴力", "Suspected violence against an adult"),
        ),
    ),
    (
        REPORT_CHANNEL, "报告渠道", "Channels of a report",
        (
            ("call-110", "110 电话", "Call to 110"),
            ("station", "派出所当面", "In person at the police station"),
            ("officer", "到场民警", "To an officer on the spot"),
            ("online", "网上报案", "Online"),
            ("other", "其他", "Other"),
        ),
    ),
    (
        PRESERVED, "保全的证据", "What was preserved",
        (
            ("clothing", "衣物", "Clothing"),
            ("specimen", "检材", "Specimens"),
            ("photograph", "伤情照片", "Photographs of injuries"),
            ("record", "病历", "Medical records"),
            ("statement", "原话记录", "The person's own words"),
            ("recording", "监控录像", "Recordings"),
            ("none", "无", "Nothing"),
        ),
    ),
)  # fmt: skip
"""Each list as system, names and rows."""
