"""The paper's texts in English: kind -> name -> text. `paper_words` gives them a shape.

In a sentence, `{name}` is a value, `{@key}` a reference of `templates/paper.yml`, `{=key}` a formula of
`templates/formulas.typ`, and `{#label}` a table or a figure.
"""

ENGLISH = {
    "texts": {
        "title_1": "What text-to-SQL fine-tuning gives,",
        "title_2": "and what it takes away",
        "subtitle": "Technical report on the study",
        "made_by": "Set by contrapeso {version} from the study's recorded outcomes",
        "running": "Technical report",
        "abstract": "Abstract",
        "references": "References",
        "appendix": "Appendix",
        "incomplete": "The study is not complete: measurements are missing.",
        # Abstract
        "abstract_what": "{model} was fine-tuned for text-to-SQL with LoRA in {runs}. Every model answered the same "
        "{target_size} of {target} and the same {general_size} of {general}.",
        "abstract_one_task": "{model} and its variants answered the same {target_size} of {target}.",
        "abstract_ok": "Of {checks} audit checks, none found that these numbers could be artefacts.",
        "abstract_warned": "The audit warns of: {names}.",
        "abstract_failed": "The audit failed on: {names}. The numbers this makes worthless are withheld.",
        "abstract_tolerated": "The audit failed on: {names}. The study was told to report its numbers nevertheless.",
        "a_model": "A language model",
        # Introduction
        "introduction": "Introduction",
        "asked": "Fine-tuning a language model for one job can cost it part of what it knew before. This study asks "
        "how much accuracy on {target} fine-tuning gained over {baseline}, how much it lost on {general}, and whether "
        "either change can be told from chance.",
        # Method: model and training
        "method": "Method",
        "method_model": "Model and training",
        "model": "The base model is {model}.",
        "model_dtype": "The base model is {model}, held in {dtype}.",
        "model_nf4": "The base model is {model}, its weights quantized to four bits (NF4) {@dettmers2023qlora}; "
        "arithmetic is in {dtype}.",
        "revision": "Its revision is {revision}.",
        "lora": "A run leaves the weights {=weight} of the base model as they are and trains a low-rank update of "
        "them, {=lora} {@hu2022lora}, on {examples}. The prompts are made like those of the evaluation, and the loss "
        "is taken on the query alone.",
        "shared": "All runs share: {settings}.",
        "varied": "Where they differ is told in {#runs}.",
        "training_seed": "The order of the examples, dropout and the first values of the update come from seed {seed}.",
        "runs_caption": "The runs: the settings in which they differ, optimizer steps, and training loss.",
        "runs_note": "Loss: mean over the first and over the last tenth of the logged steps.",
        "steps": "steps",
        "loss_first": "loss, first tenth",
        "loss_last": "loss, last tenth",
        # Method: tasks
        "method_tasks": "Tasks and prompts",
        "target": "The target task is {target} {@yu2018spider}: {questions} about {databases}, each with a gold query.",
        "target_pocket": "They belong to the small data set that ships with contrapeso, made in the layout of "
        "{target}; numbers on it do not compare with published ones.",
        "limited": "Only the first {limit} questions of the dev split are asked.",
        "prompt": "The prompt holds the schema of the whole database, {style}, and the question. Base and tuned models "
        "get it byte for byte alike. Answers are decoded greedily and end with the statement, after {tokens} tokens at "
        "the latest.",
        "prompt_plain": "The prompt holds the schema of the database and the question. Base and tuned models get it "
        "byte for byte alike. Answers are decoded greedily and end with the statement.",
        "style_ddl": "as CREATE TABLE statements",
        "style_compact": "one line a table",
        "shots": "Before them stand {shots} of the train split, each about another database.",
        "other_prompt": "{variant} is the base model prompted otherwise ({note}); it shows what a prompt can do "
        "without training.",
        "general": "The general task is {general} {@hendrycks2021mmlu}: {questions} in {subjects}, with four options "
        "each. The answer is the letter with the highest log-probability of the next token, so no text is parsed.",
        "general_shots": "Each question comes after {shots} of the dev split of its subject.",
        "left_out": "Left out of every number here, though measured: {count} of {task} ({reason}).",
        # Method: judging
        "method_judging": "Running and judging queries",
        "sandbox": "Queries that a model wrote are not trusted. They run in worker processes that can be killed, on a "
        "connection that may only read, and within bounds: {steps} steps of SQLite's virtual machine, {seconds} s of "
        "processor time, {rows} rows, {memory} MB. A query that fails, is refused, or breaks a bound is wrong, also "
        "where the gold result is empty.",
        "rules": "Three rules compare its result with that of the gold query. By {unordered}, the headline, they must "
        "be the same bag of rows: order does not count, repetitions do, columns are matched up to permutation, numbers "
        "agree to a relative {=tolerance}, and text never equals a number. {spider} is the verdict of the official "
        "evaluator {@zhong2020testsuite}, which drops DISTINCT and heeds the order of rows where the gold query sorts. "
        "{strict} wants columns as the gold query writes them and rows in its order.",
        # Method: statistics
        "method_statistics": "Statistics",
        "wilson": "An accuracy {=accuracy} carries Wilson's 95 % interval {@wilson1927}{=wilson}with {=z95}.",
        "cluster": "Questions about one database succeed and fail together, and the next user has another database. "
        "For "
        "text-to-SQL, {=n} is therefore divided by the design effect, which is the cluster-robust variance CR2 "
        "{@bell2002bias} over that of independent items, and {=z} is replaced by Student's quantile with "
        "Satterthwaite's degrees of freedom {@korn1998confidence}. Clustered errors for evaluations of language models "
        "are argued for in {@miller2024error}.",
        "paired": "Variants answer the same items, so every comparison is paired. With {=answers} for the baseline and "
        "the variant on item {=i}, the difference is{=difference}and its interval is a percentile bootstrap "
        "{@efron1993bootstrap} of {resamples} resamples. For text-to-SQL whole databases are drawn, and deviations "
        "are stretched to the width of the cluster-robust {=t} interval, because databases are few "
        "{@hesterberg2015bootstrap}; for multiple choice, items are drawn within subjects.",
        "mcnemar": "McNemar's exact test {@mcnemar1947} compares the {=b} items lost with the {=c} items "
        "gained:{=mcnemar}Where databases move together it rejects too often; for text-to-SQL the verdict therefore "
        "rests on the larger of its {=pvalue} and that of the cluster-robust {=t} test. "
        "The {=pvalue} of a verdict is adjusted for the number of runs by Holm's method {@holm1979}.",
        "mcnemar_only": "McNemar's exact test {@mcnemar1947} compares the {=b} items lost with the {=c} items "
        "gained:{=mcnemar}The {=pvalue} of a verdict is adjusted for the number of runs by Holm's method {@holm1979}.",
        "verdict": "A change is called a {gain} or a {loss} when its interval excludes 0 and the adjusted {=pvalue} "
        "is at most 0.05. Otherwise two one-sided tests {@schuirmann1987} ask whether it is certainly smaller than "
        "the margin {=margin}, here {margin} points:{=tost}where {=se} is the standard error of {=change}, taken to "
        "be at least {=floor}. If so, “no difference larger than” a number of points is a finding. If not, the "
        "change cannot be distinguished from chance with this number of items, which does not show that there is "
        "none.",
        "power": "The smallest difference that a comparison finds with 80 % power at the 5 % level is "
        "{@connor1987sample}{=power}where {=s} is the share of items on which the two variants disagree, "
        "{=effective} is {=n} over the design effect, and {=t} with an index is a quantile of Student's distribution.",
        "rate": "The exchange rate is the loss on {general} over the gain on {target}, with the percentile interval of "
        "the ratio of their resamples. There is none where the gain cannot be told from zero.",
        "seed": "All resampling starts from seed {seed}.",
        # Results
        "results": "Results",
        "results_accuracy": "Accuracy",
        "accuracy_lead": "{#accuracy} gives the share of items that each variant answered correctly.",
        "accuracy_range": "On {task}, it runs from {low} ({low_name}) to {high} ({high_name}).",
        "accuracy_caption": "Accuracy of every variant.",
        "accuracy_note": "Percent, with 95 % intervals: {methods}. Macro: mean of the accuracies by {groups}.",
        "by_database": "database",
        "by_subject": "subject",
        "wilson_name": "Wilson",
        "cluster_name": "clustered by database for {task}",
        "accuracy_figure": "Accuracy of every variant, with 95 % intervals.",
        "results_changes": "Against the baseline",
        "changes_lead": "{#changes} compares every variant with {baseline}, item by item.",
        "changes_caption": "Differences from {baseline}.",
        "changes_note": "Δ and its 95 % interval in points. Lost, gained: items that only {baseline}, or only the "
        "variant, answered correctly. {p}: McNemar, not adjusted; {p_holm}: of the test that the verdict rests on, "
        "adjusted by Holm. Detect.: the smallest difference, in points, found with 80 % power.",
        "equivalence_note": "{p_tost}: of the two one-sided tests against {margin} points.",
        "results_trade": "The trade",
        "trade_lead": "{#trade} sets each gain on {target} against the loss on {general}.",
        "trade_lead_figure": "{#trade} and {#figure-tradeoff} set each gain on {target} against the loss on {general}.",
        "trade_front": "On the Pareto front: {names}.",
        "trade_caption": "What each variant gained on {target} and lost on {general}.",
        "trade_note": "Gain and loss in points. Rate: {general} points lost for each {target} point gained. All "
        "intervals 95 %.",
        "relative_note": "Relative changes are to the accuracy of {baseline}; a weak baseline makes them large.",
        "pareto_note": "Pareto: whether another variant is at least as good on both tasks.",
        "tradeoff_figure": "Gain against loss, with 95 % intervals and {baseline} at the origin. Up is good, right is "
        "bad. The dashed line is the Pareto front.",
        "way_lead": "{#way} and {#figure-frontier} show what lies between {baseline} and the end of each run.",
        "way_lead_table": "{#way} shows what lies between {baseline} and the end of each run.",
        "way_end": "its end",
        "way_caption": "Checkpoints and scaled adapters: gain and loss, and the difference from the end of their run.",
        "results_training": "Training",
        "training_lead": "{#figure-training} shows how the runs learnt.",
        "training_figure": "Training loss at each step (faint) and its running mean (strong).",
        "axis_shuffled": "The questions of the general task were asked again with their options in another order.",
        "axis_full_text": "They were asked in words too: no option is shown, and the answer is the one whose text is "
        "likeliest after the question, by character. What a model lost by letter and kept in words it did not forget.",
        "axis_choices": "Further questions were answered by the likeliest option.",
        "axis_perplexity": "A text that nobody trained on was measured by how well it is foretold: nats a token, "
        "summed over passages, and their exponential, the perplexity.",
        "axis_lm_eval": "Tasks of lm-evaluation-harness were asked and judged by it, on the same loaded model.",
        "results_parts": "Where it changed",
        "parts_lead": "The tables that follow break the accuracies down. Their parts are small, so their intervals are "
        "wide, and nothing in them is adjusted for the number of parts.",
        "hardness_range": "By hardness, the change of {variant} on {task} runs from {low} points ({low_name}) to "
        "{high} "
        "points ({high_name}).",
        "categories_range": "By category, the change of {variant} on {task} runs from {low} points ({low_name}) to "
        "{high} points ({high_name}).",
        "groups_range_generation": "By database, it runs from {low} points ({low_name}) to {high} points "
        "({high_name}).",
        "groups_range_options": "By subject, it runs from {low} points ({low_name}) to {high} points ({high_name}).",
        "hardness_caption": "{task} by the official level of hardness.",
        "categories_caption": "{task} by category.",
        "rules_caption": "{task} by rule of comparison.",
        "rules_note": "Percent of items that each rule calls correct.",
        "groups_caption_generation": "{task}: the databases that changed most.",
        "groups_caption_options": "{task}: the subjects that changed most.",
        "parts_note": "Percent, in parentheses the difference from {baseline} in points, and below the 95 % interval "
        "(Wilson).",
        "groups_note": "Percent, in parentheses the difference from {baseline} in points. In the order of the change "
        "of {variant}.",
        "groups_shown": "{shown} of {all}: those with its largest gains and losses.",
        # Errors
        "errors": "Error analysis",
        "errors_reasons": "Why queries are wrong",
        "reasons_lead": "A query that does not run has the reason that SQLite gives. One that runs and is wrong is "
        "compared with the gold query, clause by clause, and {#reasons} counts the most telling difference.",
        "reasons_fell": "From {baseline} to {variant}, what falls most is “{reason}”, from {before} to {after}.",
        "reasons_rose": "What rises most is “{reason}”, from {before} to {after}.",
        "reasons_caption": "Why answers on {task} are wrong.",
        "reasons_note": "Questions, in parentheses their share in percent.",
        "errors_examples": "Examples",
        "examples_best": "The examples are picked by rule, not by hand, from the answers of {variant}, the tuned model "
        "with the largest gain on {target}.",
        "examples_other": "The examples are picked by rule, not by hand, from the answers of {variant}.",
        "examples_queries": "Of the questions of {target} that it gained or lost, those with the most frequent reason "
        "for the failure come first, then those with the second most frequent: the first in the order of the data set "
        "that fits a few lines.",
        "examples_options": "Of those of {general}, the lost one is that on which {baseline} was surest of the right "
        "answer, and the gained one that on which {variant} is.",
        "marks_note": "In wrong queries, the parts that the gold query lacks are marked.",
        "lost": "Lost",
        "gained": "Gained",
        "example_of": "{what}: {item}",
        "question": "Question",
        "gold": "Gold",
        "right": "right",
        "no_answer": "no answer",
        "size": "Result: {rows} × {columns} (rows × columns)",
        "size_first": "Result: {rows} × {columns} (rows × columns), first row: {row}",
        "no_result": "No result",
        "option": "Option",
        "option_note": "Probability of each option in percent, among the four; the right one is in bold.",
        "more_lines": " … [cut: {count} more lines]",
        # Audit
        "audit": "Audit",
        "audit_lead": "Before any number was printed, {checks} looked for what could make it an artefact. A check that "
        "fails withholds the numbers it concerns.",
        "audit_caption": "The audit's checks.",
        "audit_found": "What was found:",
        "tolerated": "{check} failed, and its numbers are shown nevertheless, as the study was told.",
        # Limits
        "limits": "Limits",
        "limit_seed": "Each configuration was trained once. The intervals speak of other questions, not of other "
        "trainings.",
        "limit_one_run": "With one configuration, nothing is said about how the result depends on the settings.",
        "limit_general": "One general task stands for all that the model knew before. What {general} does not ask may "
        "have been lost or kept.",
        "limit_limited": "Questions are the first {limit} of their split and not a random sample of it.",
        "limit_pocket": "The model or the data are the small ones that ship with contrapeso; they show the method and "
        "say nothing about large models.",
        "limit_execution": "A query is judged on one database. A wrong query may give the right result by chance.",
        "limit_contamination": "Whether the base model saw the questions before cannot be known from its answers.",
        "limit_power": "Differences smaller than {target_power} points on {target} or {general_power} points on "
        "{general} would probably have gone unnoticed.",
        # Appendix
        "provenance": "Provenance",
        "provenance_lead": "What these numbers were made with.",
        "settings_title": "Settings",
        "settings_lead": "The study as it was run. The settings of training are in the text.",
        # Columns
        "col_run": "Run",
        "col_variant": "Variant",
        "col_n": "n",
        "col_correct": "correct",
        "col_accuracy": "accuracy",
        "col_interval": "95 % interval",
        "col_macro": "macro",
        "col_delta": "Δ",
        "col_lost": "lost",
        "col_gained": "gained",
        "col_p": "p",
        "col_p_holm": "p adj.",
        "col_p_tost": "p equiv.",
        "col_detectable": "detect.",
        "col_verdict": "verdict",
        "col_gain": "gain",
        "col_loss": "loss",
        "col_relative": "relative",
        "col_rate": "rate",
        "col_pareto": "Pareto",
        "col_level": "Level",
        "col_category": "Category",
        "col_rule": "Rule",
        "col_reason": "Reason",
        "col_database": "Database",
        "col_subject": "Subject",
        "col_check": "Check",
        "col_asks": "What it looks for",
        "col_status": "Outcome",
        "col_fact": "Fact",
        "col_value": "Value",
        "not_valid": "not valid",
        "withheld": "Not valid: withheld because the audit failed on {names} ({#audit}).",
        "front": "on the front",
        "uncertain": "cannot be told",
        "dominated": "dominated by {variant}",
    },
    "counted": {
        "run": ("one configuration", "{n} configurations"),
        "question": ("one question", "{n} questions"),
        "database": ("one database", "{n} databases"),
        "subject": ("one subject", "{n} subjects"),
        "example": ("one example", "{n} examples"),
        "shot": ("one solved example", "{n} solved examples"),
        "solved": ("one solved question", "{n} solved questions"),
        "check": ("one check", "{n} checks"),
        "item": ("one question", "{n} questions"),
    },
    "settings": {
        "learning_rate": "learning rate",
        "rank": "rank",
        "alpha": "α",
        "dropout": "dropout",
        "target_modules": "tuned layers",
        "epochs": "epochs",
        "batch_size": "batch size",
        "gradient_accumulation": "gradient accumulation",
        "optimizer": "optimizer",
        "scheduler": "schedule",
        "warmup_share": "warm-up share",
        "weight_decay": "weight decay",
        "max_grad_norm": "gradient norm at most",
        "max_length": "tokens an example at most",
        "packing": "packing",
        "pack_tokens": "tokens a pack",
        "databases_per_step": "databases a step",
        "replay": "replayed",
        "kl_to_base": "KL to the base times",
        "kl_on": "KL on",
        "gradient_checkpointing": "gradient checkpointing",
    },
    "values": {
        "all-linear": "all linear",
        "none": "none",
        "shared_prefix": "shared prefix",
        "prompt": "prompts",
        "replay": "replayed examples",
        "None": "none",
        "True": "on",
        "False": "off",
    },
    "checks": {
        "below_chance": "An accuracy below that of guessing: answers are misread.",
        "unstopped_answers": "Answers that are empty or were cut at the token limit.",
        "letter_rate": "Whether free generation would have answered with a letter at all.",
        "unchanged_adapter": "A tuned model that answers exactly as the base: its adapter was not applied.",
        "gold_against_itself": "Gold queries that are not right by their own result.",
        "schema_in_prompts": "Prompts that lack the schema.",
        "leaked_items": "Evaluated items among shots or training examples.",
        "truncated_prompts": "Prompts cut to fit the model.",
        "different_prompts": "Base and tuned models asked differently.",
        "different_items": "Base and tuned models asked other items.",
        "published_band": "Accuracies outside the range that public measurements agree on.",
        "trained_elsewhere": "Adapters trained elsewhere, on nobody knows what.",
    },
    "check_names": {},
    "statuses": {"ok": "passed", "warn": "warning", "fail": "failed"},
}
