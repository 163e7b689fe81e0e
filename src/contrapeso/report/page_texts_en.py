"""The page's texts in English: kind -> name -> text. `page_words` gives them a shape."""

ENGLISH = {
    "decimal": ".",
    "page": {
        "skip": "Skip to the report",
        "contents": "Contents",
        "incomplete": "The study is not complete: measurements are missing.",
        "verdict": "Verdict",
        "figures": "Figures",
        "caption_tradeoff": "What each run gained and what it paid, against {baseline} at the origin. Bars are 95 % "
        "intervals. Up is good, right is bad. The dashed line is the Pareto front: nothing shown lies "
        "above it and to its left. Hollow points are dominated.",
        "caption_frontier": "The way from {baseline}, at the origin, to each run: its checkpoints (circles, whole "
        "line) and its update scaled by a factor (diamonds, broken line). Light bars are 95 % intervals; up is good, "
        "right is bad. The wide grey line is the Pareto front of the estimates. Full points are on the front, pale "
        "ones uncertain, hollow ones dominated.",
        "recommended": "recommended",
        "budget": "budget",
        "way": "The way there",
        "way_note": "What a run would have given had it been stopped earlier (@step), or with its update scaled (x "
        "factor); both are measured, neither is trained anew. Gain and loss are against {baseline}, the last two "
        "columns against the end of the same run; all are paired on the same items, in points with 95 % intervals.",
        "way_probe": "Checkpoints and scaled adapters are measured on {target_n} items of {target} and {general_n} of "
        "{general}, ends of runs on all.",
        "way_saves": "{run}: of {count} points on its way, {certain} certainly keep more of {general} than its end "
        "does. Of those, {variant} has the most of {target}: against the end, {general_change} points of {general} "
        "{general_ci} and {target_change} of {target} {target_ci} ({target_verdict}).",
        "way_saves_nothing": "{run}: none of {count} points on its way certainly keeps more of {general} than its end "
        "does. The most is {variant}, {general_change} points {general_ci} against the end ({general_verdict}), with "
        "{target_change} of {target} {target_ci} ({target_verdict}).",
        "way_withheld": "{run}: its way cannot be told; {reason}.",
        "not_measured": "not measured on both tasks",
        "col_gain": "Gain, points",
        "col_loss": "Loss, points",
        "col_against_end": "{task} against the end",
        "advice": "What to take",
        "advice_chosen": "With at most {budget} points of {general} to lose, at {level} confidence, {variant} is "
        "recommended: on all its items it gains {gain} points of {target} and loses {loss} of {general} (certainly "
        "less than {bound}).",
        "advice_none": "With at most {budget} points of {general} to lose, at {level} confidence, {baseline} is "
        "recommended: no variant certainly loses so little.",
        "advice_worth": "The best of several looks better than it is, so the choice was also made on one half of the "
        "items and measured on the other, {splits} times: there it gains {gain} points of {target} {gain_ci} and loses "
        "{loss} of {general} {loss_ci}, while the halves that chose promised a gain of {promised}.",
        "advice_unknown": "On no half of the items does any variant certainly stay within it, so what such a choice is "
        "worth on other items cannot be estimated.",
        "advice_shares": "Chosen on half of the items: {shares}.",
        "advice_nobody": "none",
        "caption_accuracy": "Accuracy of every variant with its 95 % interval.",
        "caption_training": "Training loss of every run: each step (faint) and its running mean (strong).",
        "x_tradeoff": "lost on {task}, points",
        "y_tradeoff": "gained on {task}, points",
        "x_accuracy": "{task}, % correct",
        "x_training": "step",
        "y_training": "loss",
        "guessing": "guessing",
        "variants": "Variants",
        "variants_note": "Share of items answered correctly and, below it, the 95 % interval. Δ is the difference "
        "from {baseline} on the same items, in points. The exchange rate is {general} points lost for each {target} "
        "point gained.",
        "changes": "Against {baseline}",
        "changes_note": "Paired on the same items. p is that of the test which the verdict rests on, adjusted by Holm "
        "over the runs: exact McNemar, or for text-to-SQL over several databases the cluster-robust t where its p is "
        "larger. "
        "“Detectable” is the smallest difference, in points, that this many items show with 80 % power.",
        "parts": "Where it changed",
        "parts_note": "Accuracy in percent with its 95 % interval, and the difference from {baseline} in points. "
        "Sorted by the change of {first}, largest loss first; press a heading to sort by it. Intervals of small "
        "parts are wide: read them before a difference.",
        "parts_hardness": "{task} by hardness",
        "parts_categories": "{task} by category",
        "parts_groups_generation": "{task} by database",
        "parts_groups_options": "{task} by subject",
        "rules": "{task} by rule of comparison",
        "rules_note": "The same answers under three rules: “unordered” is the headline, “spider” the official "
        "evaluator's verdict, “strict” wants columns as written and rows as the gold orders them.",
        "errors": "Why answers are wrong",
        "errors_note": "Number of items, their share in percent, and the difference from {baseline} in points. Sorted "
        "by the change of {first}.",
        "axes": "Other things it knew",
        "axes_note": "Each axis by itself, against {baseline} on the same items. Questions: percent correct, the "
        "difference in points with its 95 % interval, flips, and p adjusted by Holm over the variants. Texts: "
        "perplexity, and the difference in nats a token, where more is worse.",
        "prices": "What each gain cost there",
        "prices_note": "Loss in points, and points lost for each {target} point gained. The mean counts every task "
        "with questions of its own once; axes that ask the general questions again are not in it.",
        "forgetting": "Forgetting or format?",
        "forgetting_note": "Points lost on the same questions, asked by letter, by letter with the options in another "
        "order, and in words, where no letter is needed. Letters − words is paired question by question. All intervals "
        "95 %. How the word is found is told in the documentation.",
        "axis_mean": "mean of {tasks}",
        "kind_choices": "questions",
        "kind_shuffled": "general, options shuffled",
        "kind_full_text": "general, in words",
        "kind_perplexity": "text",
        "kind_lm_eval": "lm-evaluation-harness",
        "col_axis": "Axis",
        "col_kind": "What it is",
        "col_before": "Before",
        "col_now": "Now",
        "col_delta_axis": "Δ [95 %]",
        "col_loss_points": "Loss, points",
        "col_lost_letters": "By letter",
        "col_lost_shuffled": "Shuffled",
        "col_lost_words": "In words",
        "col_difference": "Letters − words",
        "col_word": "Lost",
        "word_knowledge": "knowledge",
        "word_letter_habit": "the letter habit",
        "word_both": "knowledge and the letter habit",
        "word_no_loss_to_explain": "no loss to explain",
        "word_not_distinguishable_at_this_n": "not distinguishable at this n",
        "word_not_asked_in_words": "not asked in words",
        "forgetting_knowledge": "{variant} lost knowledge: {words} points without any letters, {letters} by letter.",
        "forgetting_letter_habit": "{variant} lost the habit of answering by letter rather than knowledge: {letters} "
        "points by letter, {words} in words, a difference of {difference}.",
        "forgetting_both": "{variant} lost knowledge ({words} points in words) and the habit of answering by letter "
        "besides ({letters} points by letter, a difference of {difference}).",
        "forgetting_no_loss_to_explain": "{variant} has no loss to explain: {letters} points by letter, {words} in "
        "words.",
        "forgetting_not_distinguishable": "Whether {variant} lost knowledge or format cannot be told with {n} "
        "questions: {letters} points by letter, {words} in words.",
        "forgetting_guessing": "Whether {variant} lost knowledge or format cannot be told: there is a way of asking in "
        "which the base model is itself no better than guessing ({letters} points lost by letter, {words} in words).",
        "forgetting_unasked": "{variant} lost {letters} points by letter and {shuffled} with the options in another "
        "order; an axis of kind full_text would tell knowledge from format.",
        "training": "Training",
        "every_item": "Every item",
        "items_note": "Questions, gold answers and what each variant said. In queries, the marked parts are "
        "those in which a prediction and the gold query differ.",
        "items_shortened": "To keep this page small, {count} long questions on which all variants agree show "
        "their first {limit} characters only; the data set has them whole.",
        "items_print": "The item explorer is left out of print; open the page in a browser to use it.",
        "items_script": "The item explorer needs JavaScript; everything else on this page does not.",
        "items_old": "This browser cannot unpack the items (it lacks DecompressionStream). Any browser from 2023 "
        "on can.",
        "items_broken": "The items could not be read; this file may be damaged.",
        "audit": "Audit",
        "audit_note": "What could have made these numbers artefacts.",
        "audit_short": "Audit: {ok} checks passed, {warn} warn, {fail} failed.",
        "provenance": "Provenance",
        "provenance_note": "What these numbers were made with.",
        "left_out": "{variant} on {task}: {n} items are left out of the numbers above ({reason}); {correct} of them "
        "were answered correctly.",
        "footer": "Intervals are 95 %. Accuracies: {methods}. Differences: paired bootstrap, by database for "
        "text-to-SQL and within subjects for multiple choice. Tests, adjusted by Holm: exact McNemar, "
        "or for text-to-SQL over several databases the cluster-robust t where its p is larger. Resampling seed {seed}.",
        "wilson": "Wilson",
        "cluster": "Wilson on the effective number of items where they cluster by database",
        "col_variant": "Variant",
        "col_task": "Task",
        "col_delta": "Δ points",
        "col_interval": "95 % interval",
        "col_changed": "lost / gained",
        "col_p": "p (Holm)",
        "col_detectable": "Detectable",
        "col_verdict": "Verdict",
        "col_rate": "Exchange rate",
        "col_pareto": "Pareto front",
        "dominated": "dominated by {variant}",
        "col_part": "Part",
        "col_rule": "Rule",
        "col_reason": "Reason",
        "col_check": "Check",
        "col_status": "Status",
        "col_detail": "Detail",
        "col_fact": "Fact",
        "col_value": "Value",
        "no_rate": "none: the gain cannot be told from zero",
        "no_rate_negative": "none: the gain is negative",
        "prompted": "prompted differently ({note})",
        "not_valid": "not valid",
        "cut": " … [cut: {length} characters in all]",
        "sentence": "{variant}: {target}, {general}.",
        "sentence_rate": "{variant}: {target}, {general}; {rate} {general_task} points lost for each "
        "{target_task} point gained.",
        "sentence_withheld": "{variant} cannot be weighed; {reason}.",
        "sentence_nothing": "No variant was measured on both tasks beside the baseline, so there is no trade-off "
        "to weigh.",
        "change_gain": "gain of {points} points {interval} on {task}",
        "change_loss": "loss of {points} points {interval} on {task}",
        "change_other": "{verdict} on {task}",
    },
    "verdicts": {
        "gain": "gain",
        "loss": "loss",
        "none": "no difference larger than {points} points",
        "unclear": "not distinguishable at this n (up to {points} points)",
        "unclear_text": "not distinguishable at this n (up to {nats} nats per token)",
        "withheld": "not valid: {reason}",
    },
    "names": {
        "ok": "ok",
        "warn": "warning",
        "fail": "failed",
        "not_sql": "not SQL",
        "gold_empty": "the gold result is empty",
        "gold_ties": "the gold query cuts among ties",
        "gold_fails": "the gold query does not run",
    },
    "explorer": {
        "task": "Task",
        "variant": "Compare with",
        "show": "Show",
        "all": "all",
        "lost": "lost",
        "gained": "gained",
        "both": "both right",
        "neither": "neither right",
        "apart": "left out",
        "group_generation": "Database",
        "group_options": "Subject",
        "part_generation": "Hardness",
        "part_options": "Category",
        "reason": "Reason",
        "any": "any",
        "search": "Search",
        "search_hint": "words of question, answer or gold",
        "count": "{n} of {all} items",
        "none": "No item fits. Loosen a filter.",
        "key_help": "Keys: ↑ ↓ or j k move, / searches.",
        "list": "Items",
        "previous": "Previous",
        "next": "Next",
        "position": "{i} of {n}",
        "gold": "Gold",
        "right": "right",
        "wrong": "wrong",
        "schema": "Schema",
        "others": "Other variants",
        "same_rows": "Same result as the gold query.",
        "no_rows": "No result.",
        "rows": "{rows} × {columns} (rows × columns)",
        "rows_first": "{rows} × {columns} (rows × columns), the first {shown}",
        "rules": "By rule",
        "cut_off": "cut at the token limit",
        "no_answer": "No answer.",
        "not_asked": "Not asked.",
        "no_letter": "free generation would not have given a letter",
        "probabilities": "Probability of each option, in percent",
        "chosen": "chosen",
        "withheld": "The audit withholds the number of {variant}: {reason}. So items are not counted or filtered by "
        "right and wrong; all of them can be read.",
        "shortened": "… (shortened: {length} characters in all)",
        "left_out": "Left out of the numbers: {reason}",
    },
}
