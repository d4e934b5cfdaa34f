"""The measures, as a table: what each asks, how it is reckoned, and whose definition that is."""

from service.reports.model import Measure

MEASURES: dict[str, Measure] = {
    measure.code: measure
    for measure in (
        Measure(
            "acceptance", "转介与接单", "Referrals and acceptance",
            "转来多少，有多少被接下？", "How many come, and how many are taken?",
            "接单率 = 被任一机构接下的转介 ÷ 至少派出过一次的转介。按期间内首次派单所在的周（周一起，北京时间）计；误录作废的不计。",
            "Acceptance = referrals that any agency accepted ÷ referrals offered at least once; by the week (from Monday, China's time) "
            "of the first offer in the period. What was entered in error is left out.",
            "domain (e) 接单率",
        ),
        Measure(
            "first-contact", "首次联系用时", "Time to first contact",
            "接单以后多久开始服务？", "How long from acceptance to the start of service?",
            "接单至开始服务的小时数，取中位数和第 90 百分位；及时率 = 时限内开始 ÷ 接单。为经过时间，不扣除暂停；时限为本院配置的默认值，可调整。",
            "Hours from acceptance to the start of service: median and 90th percentile; in time = started within the limit ÷ accepted. "
            "Elapsed time, pauses included; the limits are this installation's own and can be changed.",
            "domain (e) 首次响应及时率",
        ),
        Measure(
            "capacity", "容量与在案", "Capacity and load",
            "哪里还有名额，这个数字有多新？", "Where is room, and how fresh is the figure?",
            "利用率 = 进行中的份额占用的名额 ÷ 机构申报的名额；附最近确认的时间。",
            "Use = places held by open shares ÷ places the agency declared; with when that was last confirmed.",
            "domain (e) 容量利用率",
        ),
        Measure(
            "follow-up", "随访完成率", "Follow-up completion",
            "出院以后，联系上了吗？", "After discharge, was contact made?",
            "完成率 = 窗口内联系上 ÷ 已到期的窗口；失访率 = 失访的随访计划 ÷ 到期的随访计划。去世者自去世起不计入分母。",
            "Completion = reached within the window ÷ windows that closed; lost = plans lost ÷ plans due. Those who died leave the "
            "denominator from the death on.",
            "domain (e) 随访完成率、失访率",
        ),
        Measure(
            "declines", "退单原因", "Reasons for declining",
            "哪家机构因为什么退单？", "Which agency declines, and why?",
            "按退单发生的日期计数，不是人数；一条转介可以被多家退单。",
            "Counted by the day of the decline; not people: several agencies may decline one referral.",
            "domain (e) 退单/改派率",
        ),
    )
}  # fmt: skip
