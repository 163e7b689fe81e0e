"""The page's texts in Brazilian Portuguese: kind -> name -> text, by the names of `page_texts_en`."""

PORTUGUESE = {
    "decimal": ",",
    "page": {
        "skip": "Ir para o relatório",
        "contents": "Sumário",
        "incomplete": "O estudo não está completo: faltam medições.",
        "verdict": "Veredito",
        "figures": "Figuras",
        "caption_tradeoff": "O que cada execução ganhou e o que pagou, em relação a {baseline}, na origem. As barras "
        "são intervalos de 95 %. Para cima é bom, para a direita é ruim. A linha tracejada é a fronteira de Pareto: "
        "nada do que é mostrado fica acima e à esquerda dela. Pontos vazados são dominados.",
        "caption_frontier": "O caminho de {baseline}, na origem, até cada execução: seus checkpoints (círculos, linha "
        "cheia) e sua atualização multiplicada por um fator (losangos, linha tracejada). As barras claras são "
        "intervalos de 95 %; para cima é bom, para a direita é ruim. A linha cinza e larga é a fronteira de Pareto das "
        "estimativas. Pontos cheios estão na fronteira, pálidos são incertos, vazados são dominados.",
        "recommended": "recomendado",
        "budget": "limite",
        "way": "O caminho até lá",
        "way_note": "O que uma execução teria dado se tivesse parado antes (@passo), ou com sua atualização "
        "multiplicada por um fator (x fator); ambos são medidos, nenhum é treinado de novo. Ganho e perda são em "
        "relação a {baseline}, as duas últimas colunas em relação ao fim da mesma execução; tudo é pareado nos mesmos "
        "itens, em pontos, com intervalos de 95 %.",
        "way_probe": "Checkpoints e adaptadores multiplicados são medidos em {target_n} itens de {target} e "
        "{general_n} de {general}; os fins das execuções, em todos.",
        "way_saves": "{run}: de {count} pontos no caminho, {certain} com certeza conservam mais de {general} do que o "
        "fim. Destes, {variant} é o que tem mais de {target}: em relação ao fim, {general_change} pontos de {general} "
        "{general_ci} e {target_change} de {target} {target_ci} ({target_verdict}).",
        "way_saves_nothing": "{run}: nenhum dos {count} pontos no caminho com certeza conserva mais de {general} do "
        "que o fim. O que mais conserva é {variant}, {general_change} pontos {general_ci} em relação ao fim "
        "({general_verdict}), com {target_change} de {target} {target_ci} ({target_verdict}).",
        "way_withheld": "{run}: o caminho não pode ser descrito; {reason}.",
        "not_measured": "não medido em ambas as tarefas",
        "col_gain": "Ganho, pontos",
        "col_loss": "Perda, pontos",
        "col_against_end": "{task} em relação ao fim",
        "advice": "O que escolher",
        "advice_chosen": "Com no máximo {budget} pontos de {general} a perder, com {level} de confiança, recomenda-se "
        "{variant}: em todos os seus itens, ganha {gain} pontos de {target} e perde {loss} de {general} (com certeza "
        "menos que {bound}).",
        "advice_none": "Com no máximo {budget} pontos de {general} a perder, com {level} de confiança, recomenda-se "
        "{baseline}: nenhuma variante com certeza perde tão pouco.",
        "advice_worth": "A melhor de várias parece melhor do que é; por isso a escolha também foi feita em uma metade "
        "dos itens e medida na outra, {splits} vezes: ali ela ganha {gain} pontos de {target} {gain_ci} e perde {loss} "
        "de {general} {loss_ci}, enquanto as metades que escolheram prometiam um ganho de {promised}.",
        "advice_unknown": "Em nenhuma metade dos itens alguma variante com certeza fica dentro do limite; não se pode, "
        "portanto, estimar quanto vale tal escolha em outros itens.",
        "advice_shares": "Escolhida em metade dos itens: {shares}.",
        "advice_nobody": "nenhuma",
        "caption_accuracy": "Acurácia de cada variante, com intervalo de 95 %.",
        "caption_training": "Perda de treino de cada execução: a cada passo (claro) e em média móvel (forte).",
        "x_tradeoff": "perda no {task}, pontos",
        "y_tradeoff": "ganho no {task}, pontos",
        "x_accuracy": "{task}, % de acertos",
        "x_training": "passo",
        "y_training": "perda",
        "guessing": "chute",
        "variants": "Variantes",
        "variants_note": "Proporção de itens respondidos corretamente e, abaixo, o intervalo de 95 %. Δ é a diferença "
        "em relação a {baseline} nos mesmos itens, em pontos. A taxa de troca é quantos pontos do {general} se "
        "perdem por ponto ganho no {target}.",
        "changes": "Em relação a {baseline}",
        "changes_note": "Comparação pareada nos mesmos itens. O p é o do teste em que se apoia o veredito, ajustado "
        "por Holm entre as execuções: McNemar exato ou, em text-to-SQL com vários bancos de dados, o t robusto a "
        "conglomerados quando o p deste é maior. “Detectável” é a menor diferença, em pontos, que este número "
        "de itens revela com poder de 80 %.",
        "parts": "Onde mudou",
        "parts_note": "Acurácia em porcentagem, com intervalo de 95 %, e diferença em relação a {baseline}, em "
        "pontos. Em ordem da mudança de {first}, da maior perda ao maior ganho; clique em um cabeçalho para "
        "reordenar. Partes pequenas têm intervalos largos: leia-os antes da diferença.",
        "parts_hardness": "{task} por dificuldade",
        "parts_categories": "{task} por categoria",
        "parts_groups_generation": "{task} por banco de dados",
        "parts_groups_options": "{task} por disciplina",
        "rules": "{task} por regra de comparação",
        "rules_note": "As mesmas respostas sob três regras: “unordered” é a principal, “spider” é o veredito do "
        "avaliador oficial, “strict” exige as colunas como escritas e as linhas na ordem do gabarito.",
        "errors": "Por que as respostas estão erradas",
        "errors_note": "Número de itens, proporção em porcentagem e diferença em relação a {baseline}, em pontos. Em "
        "ordem da mudança de {first}.",
        "axes": "O que mais ele sabia",
        "axes_note": "Cada eixo por si, em relação a {baseline}, nos mesmos itens. Perguntas: porcentagem de acertos, "
        "diferença em pontos com intervalo de 95 %, trocas e p ajustado por Holm entre as variantes. Textos: "
        "perplexidade e diferença em nats por token, em que mais é pior.",
        "prices": "O que cada ganho custou ali",
        "prices_note": "Perda em pontos, e pontos perdidos por ponto ganho no {target}. A média conta uma vez cada "
        "tarefa com perguntas próprias; os eixos que repetem as perguntas gerais não entram nela.",
        "forgetting": "Esquecimento ou formato?",
        "forgetting_note": "Pontos perdidos nas mesmas perguntas, feitas por letra, por letra com as opções em outra "
        "ordem e por extenso, sem letra alguma. Letras − palavras é pareado pergunta a pergunta. Todos os intervalos "
        "são de 95 %. A documentação conta como se chega à palavra.",
        "axis_mean": "média de {tasks}",
        "kind_choices": "perguntas",
        "kind_shuffled": "gerais, opções embaralhadas",
        "kind_full_text": "gerais, por extenso",
        "kind_perplexity": "texto",
        "kind_lm_eval": "lm-evaluation-harness",
        "col_axis": "Eixo",
        "col_kind": "O que é",
        "col_before": "Antes",
        "col_now": "Agora",
        "col_delta_axis": "Δ [95 %]",
        "col_loss_points": "Perda, pontos",
        "col_lost_letters": "Por letra",
        "col_lost_shuffled": "Embaralhadas",
        "col_lost_words": "Por extenso",
        "col_difference": "Letras − palavras",
        "col_word": "Perdeu",
        "word_knowledge": "conhecimento",
        "word_letter_habit": "o hábito da letra",
        "word_both": "conhecimento e o hábito da letra",
        "word_no_loss_to_explain": "nenhuma perda a explicar",
        "word_not_distinguishable_at_this_n": "indistinguível com este n",
        "word_not_asked_in_words": "não se perguntou por extenso",
        "forgetting_knowledge": "{variant} perdeu conhecimento: {words} pontos sem letra alguma, {letters} por letra.",
        "forgetting_letter_habit": "{variant} perdeu o hábito de responder com uma letra mais do que conhecimento: "
        "{letters} pontos por letra, {words} por extenso, diferença de {difference}.",
        "forgetting_both": "{variant} perdeu conhecimento ({words} pontos por extenso) e, além disso, o hábito de "
        "responder com uma letra ({letters} pontos por letra, diferença de {difference}).",
        "forgetting_no_loss_to_explain": "{variant} não tem perda a explicar: {letters} pontos por letra, {words} por "
        "extenso.",
        "forgetting_not_distinguishable": "Com {n} perguntas não se distingue se {variant} perdeu conhecimento ou "
        "formato: {letters} pontos por letra, {words} por extenso.",
        "forgetting_guessing": "Não se distingue se {variant} perdeu conhecimento ou formato: há um modo de perguntar "
        "em que o próprio modelo base não se distingue do chute ({letters} pontos perdidos por letra, {words} por "
        "extenso).",
        "forgetting_unasked": "{variant} perdeu {letters} pontos por letra e {shuffled} com as opções em outra ordem; "
        "um eixo do tipo full_text distinguiria conhecimento de formato.",
        "training": "Treino",
        "every_item": "Todos os itens",
        "items_note": "Perguntas, gabaritos e o que cada variante respondeu. Nas consultas, as partes marcadas são "
        "aquelas em que a previsão e o gabarito diferem.",
        "items_shortened": "Para manter esta página leve, {count} perguntas longas em que todas as variantes "
        "concordam mostram só os primeiros {limit} caracteres; o conjunto de dados as traz inteiras.",
        "items_print": "O explorador de itens não é impresso; abra a página em um navegador para usá-lo.",
        "items_script": "O explorador de itens precisa de JavaScript; o resto da página, não.",
        "items_old": "Este navegador não consegue descompactar os itens (não tem DecompressionStream). Qualquer "
        "navegador de 2023 em diante consegue.",
        "items_broken": "Não foi possível ler os itens; este arquivo pode estar danificado.",
        "audit": "Auditoria",
        "audit_note": "O que poderia ter feito destes números meros artefatos.",
        "audit_short": "Auditoria: {ok} verificações sem ressalvas, {warn} com aviso, {fail} reprovadas.",
        "provenance": "Procedência",
        "provenance_note": "Com que estes números foram produzidos.",
        "left_out": "{variant} no {task}: {n} itens ficaram fora dos números acima ({reason}); {correct} deles "
        "foram respondidos corretamente.",
        "footer": "Intervalos de 95 %. Acurácias: {methods}. Diferenças: bootstrap pareado, por banco de dados em "
        "text-to-SQL e dentro de cada disciplina em múltipla escolha. Testes, com ajuste de Holm: McNemar "
        "exato ou, em text-to-SQL com vários bancos de dados, o t robusto a conglomerados quando seu p é maior. "
        "Semente da reamostragem: {seed}.",
        "wilson": "Wilson",
        "cluster": "Wilson com o número efetivo de itens onde se agrupam por banco de dados",
        "col_variant": "Variante",
        "col_task": "Tarefa",
        "col_delta": "Δ pontos",
        "col_interval": "Intervalo de 95 %",
        "col_changed": "perdidos / ganhos",
        "col_p": "p (Holm)",
        "col_detectable": "Detectável",
        "col_verdict": "Veredito",
        "col_rate": "Taxa de troca",
        "col_pareto": "Fronteira de Pareto",
        "dominated": "dominado por {variant}",
        "col_part": "Parte",
        "col_rule": "Regra",
        "col_reason": "Motivo",
        "col_check": "Verificação",
        "col_status": "Situação",
        "col_detail": "Detalhe",
        "col_fact": "Fato",
        "col_value": "Valor",
        "no_rate": "nenhuma: o ganho não se distingue de zero",
        "no_rate_negative": "nenhuma: o ganho é negativo",
        "prompted": "com outro prompt ({note})",
        "not_valid": "sem validade",
        "cut": " … [cortado: {length} caracteres ao todo]",
        "sentence": "{variant}: {target}, {general}.",
        "sentence_rate": "{variant}: {target}, {general}; {rate} pontos do {general_task} perdidos por ponto ganho no "
        "{target_task}.",
        "sentence_withheld": "{variant} não pode ser avaliado; {reason}.",
        "sentence_nothing": "Nenhuma variante além da base foi medida nas duas tarefas, portanto não há troca a "
        "avaliar.",
        "change_gain": "ganho de {points} pontos {interval} no {task}",
        "change_loss": "perda de {points} pontos {interval} no {task}",
        "change_other": "{verdict} no {task}",
    },
    "verdicts": {
        "gain": "ganho",
        "loss": "perda",
        "none": "nenhuma diferença maior que {points} pontos",
        "unclear": "não se distingue com este n (até {points} pontos)",
        "unclear_text": "não se distingue com este n (até {nats} nats por token)",
        "withheld": "sem validade: {reason}",
    },
    "names": {
        "ok": "ok",
        "warn": "aviso",
        "fail": "reprovada",
        "easy": "fácil",
        "medium": "média",
        "hard": "difícil",
        "extra": "extra",
        "STEM": "STEM",
        "Humanities": "Humanidades",
        "Social Sciences": "Ciências Sociais",
        "Other": "Outros",
        "gold_empty": "o resultado do gabarito é vazio",
        "gold_ties": "o gabarito corta entre empates",
        "gold_fails": "o gabarito não roda",
        "on the front": "na fronteira",
        "uncertain": "incerto",
        "empty": "vazia",
        "not_sql": "não é SQL",
        "refused": "recusada",
        "syntax": "sintaxe",
        "unknown_table": "tabela inexistente",
        "unknown_column": "coluna inexistente",
        "ambiguous_column": "coluna ambígua",
        "misuse": "uso indevido",
        "error": "erro",
        "timeout": "tempo esgotado",
        "too_large": "grande demais",
        "crashed": "processo caiu",
        "wrong_tables": "tabelas erradas",
        "wrong_columns": "colunas erradas",
        "wrong_condition": "condição errada",
        "wrong_aggregation": "agregação errada",
        "wrong_order": "ordenação errada",
        "duplicates": "duplicatas",
        "row_order": "ordem das linhas",
        "column_order": "ordem das colunas",
        "type_mismatch": "tipos diferentes",
        "wrong_result": "resultado errado",
        "wrong_option": "opção errada",
    },
    "explorer": {
        "task": "Tarefa",
        "variant": "Comparar com",
        "show": "Mostrar",
        "all": "todos",
        "lost": "perdidos",
        "gained": "ganhos",
        "both": "ambos certos",
        "neither": "nenhum certo",
        "apart": "fora da conta",
        "group_generation": "Banco de dados",
        "group_options": "Disciplina",
        "part_generation": "Dificuldade",
        "part_options": "Categoria",
        "reason": "Motivo",
        "any": "qualquer",
        "search": "Busca",
        "search_hint": "palavras da pergunta, resposta ou gabarito",
        "count": "{n} de {all} itens",
        "none": "Nenhum item atende. Afrouxe um filtro.",
        "key_help": "Teclas: ↑ ↓ ou j k movem, / busca.",
        "list": "Itens",
        "previous": "Anterior",
        "next": "Próximo",
        "position": "{i} de {n}",
        "gold": "Gabarito",
        "right": "certo",
        "wrong": "errado",
        "schema": "Esquema",
        "others": "Outras variantes",
        "same_rows": "Mesmo resultado do gabarito.",
        "no_rows": "Sem resultado.",
        "rows": "{rows} × {columns} (linhas × colunas)",
        "rows_first": "{rows} × {columns} (linhas × colunas), as {shown} primeiras",
        "rules": "Por regra",
        "cut_off": "cortada no limite de tokens",
        "no_answer": "Sem resposta.",
        "not_asked": "Não perguntado.",
        "no_letter": "a geração livre não teria dado uma letra",
        "probabilities": "Probabilidade de cada opção, em porcentagem",
        "chosen": "escolhida",
        "withheld": "A auditoria retém o número de {variant}: {reason}. Por isso os itens não são contados nem "
        "filtrados por certo e errado; todos podem ser lidos.",
        "shortened": "… (encurtada: {length} caracteres ao todo)",
        "left_out": "Fora dos números: {reason}",
    },
}
