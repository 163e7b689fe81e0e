"""The paper's texts in Brazilian Portuguese, by the names of `paper_texts_en`, whose docstring tells the marks."""

PORTUGUESE = {
    "texts": {
        "title_1": "O que o ajuste fino para text-to-SQL traz",
        "title_2": "e o que ele cobra",
        "subtitle": "Relatório técnico do estudo",
        "made_by": "Composto pelo contrapeso {version} a partir dos resultados registrados do estudo",
        "running": "Relatório técnico",
        "abstract": "Resumo",
        "references": "Referências",
        "appendix": "Apêndice",
        "incomplete": "O estudo não está completo: faltam medições.",
        # Resumo
        "abstract_what": "{model} passou por ajuste fino para text-to-SQL com LoRA em {runs}. Todos os modelos "
        "responderam às mesmas {target_size} do {target} e às mesmas {general_size} do {general}.",
        "abstract_one_task": "{model} e suas variantes responderam às mesmas {target_size} do {target}.",
        "abstract_ok": "Das {checks} verificações da auditoria, nenhuma encontrou indício de que estes números sejam "
        "artefatos.",
        "abstract_warned": "A auditoria faz ressalvas em: {names}.",
        "abstract_failed": "A auditoria reprovou: {names}. Os números que isso invalida foram retidos.",
        "abstract_tolerated": "A auditoria reprovou: {names}. Por decisão de quem conduziu o estudo, os números são "
        "mostrados assim mesmo.",
        "a_model": "Um modelo de linguagem",
        # Introdução
        "introduction": "Introdução",
        "asked": "O ajuste fino de um modelo de linguagem para uma única tarefa pode custar parte do que ele já sabia. "
        "Este estudo pergunta quanta acurácia o ajuste ganhou no {target} em relação a {baseline}, quanta perdeu no "
        "{general} e se cada uma dessas mudanças se distingue do acaso.",
        # Método: modelo e treino
        "method": "Método",
        "method_model": "Modelo e treino",
        "model": "O modelo base é {model}.",
        "model_dtype": "O modelo base é {model}, em {dtype}.",
        "model_nf4": "O modelo base é {model}, com os pesos quantizados em quatro bits (NF4) {@dettmers2023qlora}; a "
        "aritmética é em {dtype}.",
        "revision": "A revisão usada é {revision}.",
        "lora": "Cada execução mantém os pesos {=weight} do modelo base como estão e treina para eles uma "
        "atualização de posto baixo, {=lora} {@hu2022lora}, com {examples}. Os prompts têm a forma dos da avaliação, "
        "e a função de perda considera apenas a consulta.",
        "shared": "Todas as execuções compartilham: {settings}.",
        "varied": "No que diferem está na {#runs}.",
        "training_seed": "A ordem dos exemplos, o dropout e os valores iniciais da atualização partem da semente "
        "{seed}.",
        "runs_caption": "As execuções: configurações em que diferem, passos do otimizador e perda de treino.",
        "runs_note": "Perda: média do primeiro e do último décimo dos passos registrados.",
        "steps": "passos",
        "loss_first": "perda, primeiro décimo",
        "loss_last": "perda, último décimo",
        # Método: tarefas
        "method_tasks": "Tarefas e prompts",
        "target": "A tarefa-alvo é o {target} {@yu2018spider}: {questions} sobre {databases}, cada uma com uma "
        "consulta "
        "de gabarito.",
        "target_pocket": "Elas vêm do pequeno conjunto de dados que acompanha o contrapeso, feito no formato do "
        "{target}; os números obtidos com ele não se comparam aos publicados.",
        "limited": "São feitas apenas as {limit} primeiras perguntas da partição dev.",
        "prompt": "O prompt contém o esquema do banco de dados inteiro, {style}, e a pergunta. O modelo base e os "
        "ajustados o recebem idêntico, byte a byte. As respostas são decodificadas de forma gulosa e terminam com a "
        "consulta ou, no máximo, após {tokens} tokens.",
        "prompt_plain": "O prompt contém o esquema do banco de dados e a pergunta. O modelo base e os ajustados o "
        "recebem idêntico, byte a byte. As respostas são decodificadas de forma gulosa e terminam com a consulta.",
        "style_ddl": "em comandos CREATE TABLE",
        "style_compact": "com uma linha por tabela",
        "shots": "Antes deles vêm {shots} da partição de treino, cada um sobre outro banco de dados.",
        "other_prompt": "{variant} é o modelo base com outro prompt ({note}); mostra o que um prompt consegue sem "
        "treino.",
        "general": "A tarefa geral é o {general} {@hendrycks2021mmlu}: {questions} de {subjects}, com quatro opções "
        "cada. A resposta é a letra com a maior log-probabilidade do próximo token; nenhum texto é interpretado.",
        "general_shots": "Cada pergunta vem depois de {shots} da partição dev da mesma disciplina.",
        "left_out": "Fora de todos os números aqui, embora com medição: {count} do {task} ({reason}).",
        # Método: julgamento
        "method_judging": "Execução e julgamento das consultas",
        "sandbox": "As consultas escritas por um modelo não são confiáveis. Elas rodam em processos que podem ser "
        "encerrados a qualquer momento, em uma conexão somente de leitura e dentro de limites: {steps} passos da "
        "máquina virtual do SQLite, {seconds} s de processador, {rows} linhas, {memory} MB. Uma consulta que falha, é "
        "recusada ou ultrapassa um limite está errada, mesmo quando o resultado do gabarito é vazio.",
        "rules": "Três regras comparam o resultado com o da consulta de gabarito. Por {unordered}, a principal, os "
        "dois "
        "devem ser o mesmo multiconjunto de linhas: a ordem não conta, as repetições contam, as colunas são casadas "
        "a menos de permutação, os números concordam com erro relativo de até {=tolerance}, e um texto nunca é igual a "
        "um número. {spider} é o veredito do avaliador oficial {@zhong2020testsuite}, que descarta DISTINCT e observa "
        "a ordem das linhas quando o gabarito ordena. {strict} exige as colunas como o gabarito as escreve e as linhas "
        "na ordem dele.",
        # Método: estatística
        "method_statistics": "Estatística",
        "wilson": "Uma acurácia {=accuracy} vem com o intervalo de 95 % de Wilson {@wilson1927}{=wilson}com {=z95}.",
        "cluster": "Perguntas sobre um mesmo banco de dados tendem a acertar e errar juntas, e o próximo usuário terá "
        "outro banco. Em text-to-SQL, {=n} é por isso dividido pelo efeito de desenho, a razão entre a variância "
        "robusta a conglomerados CR2 {@bell2002bias} e a de itens independentes, e {=z} dá lugar ao quantil da t de "
        "Student com os graus de liberdade de Satterthwaite {@korn1998confidence}. Sobre erros por conglomerado na "
        "avaliação de modelos de linguagem, ver {@miller2024error}.",
        "paired": "As variantes respondem aos mesmos itens, portanto toda comparação é pareada. Com {=answers} para a "
        "base e a variante no item {=i}, a diferença é{=difference}e seu intervalo é um bootstrap percentílico "
        "{@efron1993bootstrap} de {resamples} reamostragens. Em text-to-SQL sorteiam-se bancos de dados inteiros, e os "
        "desvios são ampliados até a largura do intervalo {=t} robusto a conglomerados, porque os bancos são poucos "
        "{@hesterberg2015bootstrap}; em múltipla escolha sorteiam-se itens dentro de cada disciplina.",
        "mcnemar": "O teste exato de McNemar {@mcnemar1947} compara os {=b} itens perdidos com os {=c} itens "
        "ganhos:{=mcnemar}Quando bancos de dados variam em conjunto, ele rejeita demais; em text-to-SQL o veredito "
        "se apoia, por isso, no maior entre o seu {=pvalue} e o do teste {=t} robusto a conglomerados. "
        "O {=pvalue} de um veredito é ajustado ao número de execuções pelo método de Holm {@holm1979}.",
        "mcnemar_only": "O teste exato de McNemar {@mcnemar1947} compara os {=b} itens perdidos com os {=c} itens "
        "ganhos:{=mcnemar}O {=pvalue} de um veredito é ajustado ao número de execuções pelo método de Holm "
        "{@holm1979}.",
        "verdict": "Uma mudança é chamada de {gain} ou {loss} quando seu intervalo exclui o 0 e o {=pvalue} ajustado "
        "é no máximo 0,05. Caso contrário, dois testes unilaterais {@schuirmann1987} verificam se ela é seguramente "
        "menor que a margem {=margin}, aqui de {margin} pontos:{=tost}em que {=se} é o erro padrão de {=change}, "
        "tomado como pelo menos {=floor}. Se for, “nenhuma diferença maior que” tantos pontos é uma constatação. Se "
        "não for, a mudança não se distingue do acaso com este número de itens, o que não prova que ela não exista.",
        "power": "A menor diferença que uma comparação encontra com poder de 80 % ao nível de 5 % é "
        "{@connor1987sample}{=power}em que {=s} é a proporção de itens nos quais as duas variantes discordam, "
        "{=effective} é {=n} dividido pelo efeito de desenho e {=t} com índice é um quantil da distribuição de "
        "Student.",
        "rate": "A taxa de troca é a perda no {general} dividida pelo ganho no {target}, com o intervalo percentílico "
        "da razão das reamostragens. Ela não existe quando o ganho não se distingue de zero.",
        "seed": "Toda reamostragem parte da semente {seed}.",
        # Resultados
        "results": "Resultados",
        "results_accuracy": "Acurácia",
        "accuracy_lead": "A {#accuracy} mostra a proporção de itens que cada variante respondeu corretamente.",
        "accuracy_range": "No {task}, ela vai de {low} ({low_name}) a {high} ({high_name}).",
        "accuracy_caption": "Acurácia de cada variante.",
        "accuracy_note": "Em porcentagem, com intervalos de 95 %: {methods}. Macro: média das acurácias por {groups}.",
        "by_database": "banco de dados",
        "by_subject": "disciplina",
        "wilson_name": "Wilson",
        "cluster_name": "agrupado por banco de dados no {task}",
        "accuracy_figure": "Acurácia de cada variante, com intervalos de 95 %.",
        "results_changes": "Em relação à base",
        "changes_lead": "A {#changes} compara cada variante com {baseline}, item a item.",
        "changes_caption": "Diferenças em relação a {baseline}.",
        "changes_note": "Δ e seu intervalo de 95 % em pontos. Perd., ganh.: itens que só {baseline}, ou só a variante, "
        "respondeu corretamente. {p}: McNemar, sem ajuste; {p_holm}: do teste em que se apoia o veredito, com ajuste "
        "de Holm. Detect.: a menor diferença, em pontos, encontrada com poder de 80 %.",
        "equivalence_note": "{p_tost}: dos dois testes unilaterais contra {margin} pontos.",
        "results_trade": "A troca",
        "trade_lead": "A {#trade} confronta cada ganho no {target} com a perda no {general}.",
        "trade_lead_figure": "A {#trade} e a {#figure-tradeoff} confrontam cada ganho no {target} com a perda no "
        "{general}.",
        "trade_front": "Na fronteira de Pareto: {names}.",
        "trade_caption": "O que cada variante ganhou no {target} e perdeu no {general}.",
        "trade_note": "Ganho e perda em pontos. Taxa: pontos do {general} perdidos por ponto ganho no {target}. Todos "
        "os intervalos são de 95 %.",
        "relative_note": "As mudanças relativas referem-se à acurácia de {baseline}; uma base fraca as torna grandes.",
        "pareto_note": "Pareto: se outra variante é ao menos tão boa nas duas tarefas.",
        "tradeoff_figure": "Ganho e perda, com intervalos de 95 % e {baseline} na origem. Para cima é bom, para a "
        "direita é ruim. A linha tracejada é a fronteira de Pareto.",
        "way_lead": "A {#way} e a {#figure-frontier} mostram o que fica entre {baseline} e o fim de cada execução.",
        "way_lead_table": "A {#way} mostra o que fica entre {baseline} e o fim de cada execução.",
        "way_end": "seu fim",
        "way_caption": "Checkpoints e adaptadores multiplicados: ganho e perda, e a diferença em relação ao fim da "
        "execução.",
        "results_training": "Treino",
        "training_lead": "A {#figure-training} mostra como as execuções aprenderam.",
        "training_figure": "Perda de treino a cada passo (claro) e em média móvel (forte).",
        "axis_shuffled": "As perguntas da tarefa geral foram feitas outra vez com as opções em outra ordem.",
        "axis_full_text": "Também foram feitas por extenso: nenhuma opção é mostrada, e a resposta é aquela cujo texto "
        "é o mais provável depois da pergunta, por caractere. O que um modelo perdeu por letra e guardou por extenso "
        "ele não esqueceu.",
        "axis_choices": "Outras perguntas foram respondidas pela opção mais provável.",
        "axis_perplexity": "Um texto em que ninguém treinou foi medido pelo quanto se deixa prever: nats por token, "
        "somados sobre os trechos, e sua exponencial, a perplexidade.",
        "axis_lm_eval": "Tarefas do lm-evaluation-harness foram feitas e julgadas por ele, no mesmo modelo carregado.",
        "results_parts": "Onde mudou",
        "parts_lead": "As tabelas a seguir decompõem as acurácias. As partes são pequenas, portanto seus intervalos "
        "são "
        "largos, e nada nelas é ajustado ao número de partes.",
        "hardness_range": "Por dificuldade, a mudança de {variant} no {task} vai de {low} pontos ({low_name}) a {high} "
        "pontos ({high_name}).",
        "categories_range": "Por categoria, a mudança de {variant} no {task} vai de {low} pontos ({low_name}) a {high} "
        "pontos ({high_name}).",
        "groups_range_generation": "Por banco de dados, ela vai de {low} pontos ({low_name}) a {high} pontos "
        "({high_name}).",
        "groups_range_options": "Por disciplina, ela vai de {low} pontos ({low_name}) a {high} pontos ({high_name}).",
        "hardness_caption": "{task} pelo nível oficial de dificuldade.",
        "categories_caption": "{task} por categoria.",
        "rules_caption": "{task} por regra de comparação.",
        "rules_note": "Porcentagem de itens que cada regra considera corretos.",
        "groups_caption_generation": "{task}: os bancos de dados que mais mudaram.",
        "groups_caption_options": "{task}: as disciplinas que mais mudaram.",
        "parts_note": "Em porcentagem; entre parênteses, a diferença em relação a {baseline}, em pontos; abaixo, o "
        "intervalo de 95 % (Wilson).",
        "groups_note": "Em porcentagem; entre parênteses, a diferença em relação a {baseline}, em pontos. Na ordem da "
        "mudança de {variant}.",
        "groups_shown": "{shown} de {all}, com seus maiores ganhos e perdas.",
        # Erros
        "errors": "Análise de erros",
        "errors_reasons": "Por que as consultas estão erradas",
        "reasons_lead": "Uma consulta que não roda recebe o motivo dado pelo SQLite. Uma que roda e está errada é "
        "comparada com o gabarito, cláusula por cláusula, e a {#reasons} conta a diferença mais reveladora.",
        "reasons_fell": "De {baseline} para {variant}, o motivo que mais cai é “{reason}”, de {before} para {after}.",
        "reasons_rose": "O que mais sobe é “{reason}”, de {before} para {after}.",
        "reasons_caption": "Por que as respostas no {task} estão erradas.",
        "reasons_note": "Perguntas; entre parênteses, sua proporção em porcentagem.",
        "errors_examples": "Exemplos",
        "examples_best": "Os exemplos são escolhidos por regra, não à mão, entre as respostas de {variant}, o modelo "
        "ajustado com o maior ganho no {target}.",
        "examples_other": "Os exemplos são escolhidos por regra, não à mão, entre as respostas de {variant}.",
        "examples_queries": "Das perguntas do {target} que ele ganhou ou perdeu, vêm primeiro as que têm o motivo de "
        "falha mais frequente, depois as que têm o segundo mais frequente: a primeira, na ordem do conjunto de dados, "
        "que cabe em poucas linhas.",
        "examples_options": "Das do {general}, a perdida é aquela em que {baseline} tinha mais certeza da resposta "
        "certa e a ganha, aquela em que {variant} tem.",
        "marks_note": "Nas consultas erradas, as partes que não estão no gabarito aparecem marcadas.",
        "lost": "Perdida",
        "gained": "Ganha",
        "example_of": "{what}: {item}",
        "question": "Pergunta",
        "gold": "Gabarito",
        "right": "certa",
        "no_answer": "sem resposta",
        "size": "Resultado: {rows} × {columns} (linhas × colunas)",
        "size_first": "Resultado: {rows} × {columns} (linhas × colunas), primeira linha: {row}",
        "no_result": "Sem resultado",
        "option": "Opção",
        "option_note": "Probabilidade de cada opção em porcentagem, entre as quatro; a certa está em negrito.",
        "more_lines": " … [cortado: mais {count} linhas]",
        # Auditoria
        "audit": "Auditoria",
        "audit_lead": "Antes que qualquer número fosse impresso, {checks} procuraram o que poderia fazer dele um "
        "artefato. Uma verificação reprovada retém os números a que se refere.",
        "audit_caption": "As verificações da auditoria.",
        "audit_found": "O que foi encontrado (texto do registro, em inglês):",
        "tolerated": "{check} foi reprovada, e seus números são mostrados assim mesmo, por decisão de quem conduziu o "
        "estudo.",
        # Limites
        "limits": "Limites",
        "limit_seed": "Cada configuração foi treinada uma única vez. Os intervalos falam de outras perguntas, não de "
        "outros treinos.",
        "limit_one_run": "Com uma só configuração, nada se diz sobre como o resultado depende dela.",
        "limit_general": "Uma única tarefa geral representa tudo o que o modelo já sabia. O que o {general} não "
        "pergunta "
        "pode ter sido perdido ou mantido.",
        "limit_limited": "As perguntas são as {limit} primeiras de sua partição, não uma amostra aleatória dela.",
        "limit_pocket": "O modelo ou os dados são os pequenos que acompanham o contrapeso; eles mostram o método e "
        "nada "
        "dizem sobre modelos grandes.",
        "limit_execution": "Cada consulta é julgada em um só banco de dados. Uma consulta errada pode dar o resultado "
        "certo por acaso.",
        "limit_contamination": "Não há como saber, pelas respostas, se o modelo base já conhecia as perguntas.",
        "limit_power": "Diferenças menores que {target_power} pontos no {target} ou {general_power} pontos no "
        "{general} "
        "provavelmente teriam passado despercebidas.",
        # Apêndice
        "provenance": "Procedência",
        "provenance_lead": "Com que estes números foram produzidos.",
        "settings_title": "Configuração",
        "settings_lead": "O estudo como foi executado. A configuração do treino está no texto.",
        # Colunas
        "col_run": "Execução",
        "col_variant": "Variante",
        "col_n": "n",
        "col_correct": "acertos",
        "col_accuracy": "acurácia",
        "col_interval": "intervalo de 95 %",
        "col_macro": "macro",
        "col_delta": "Δ",
        "col_lost": "perd.",
        "col_gained": "ganh.",
        "col_p": "p",
        "col_p_holm": "p ajust.",
        "col_p_tost": "p equiv.",
        "col_detectable": "detect.",
        "col_verdict": "veredito",
        "col_gain": "ganho",
        "col_loss": "perda",
        "col_relative": "relativo",
        "col_rate": "taxa",
        "col_pareto": "Pareto",
        "col_level": "Nível",
        "col_category": "Categoria",
        "col_rule": "Regra",
        "col_reason": "Motivo",
        "col_database": "Banco de dados",
        "col_subject": "Disciplina",
        "col_check": "Verificação",
        "col_asks": "O que procura",
        "col_status": "Resultado",
        "col_fact": "Fato",
        "col_value": "Valor",
        "not_valid": "sem validade",
        "withheld": "Sem validade: número retido porque a auditoria reprovou {names} ({#audit}).",
        "front": "na fronteira",
        "uncertain": "não se sabe",
        "dominated": "dominada por {variant}",
    },
    "counted": {
        "run": ("uma configuração", "{n} configurações"),
        "question": ("uma pergunta", "{n} perguntas"),
        "database": ("um banco de dados", "{n} bancos de dados"),
        "subject": ("uma disciplina", "{n} disciplinas"),
        "example": ("um exemplo", "{n} exemplos"),
        "shot": ("um exemplo resolvido", "{n} exemplos resolvidos"),
        "solved": ("uma pergunta resolvida", "{n} perguntas resolvidas"),
        "check": ("uma verificação", "{n} verificações"),
        "item": ("uma pergunta", "{n} perguntas"),
    },
    "settings": {
        "learning_rate": "taxa de aprendizado",
        "rank": "posto",
        "alpha": "α",
        "dropout": "dropout",
        "target_modules": "camadas ajustadas",
        "epochs": "épocas",
        "batch_size": "tamanho do lote",
        "gradient_accumulation": "acumulação de gradiente",
        "optimizer": "otimizador",
        "scheduler": "agendamento",
        "warmup_share": "fração de aquecimento",
        "weight_decay": "decaimento dos pesos",
        "max_grad_norm": "norma máxima do gradiente",
        "max_length": "máximo de tokens por exemplo",
        "packing": "empacotamento",
        "pack_tokens": "tokens por pacote",
        "databases_per_step": "bancos de dados por passo",
        "replay": "repetição",
        "kl_to_base": "KL até a base vezes",
        "kl_on": "KL em",
        "gradient_checkpointing": "recomputação de ativações",
    },
    "values": {
        "all-linear": "todas as lineares",
        "none": "nenhum",
        "shared_prefix": "prefixo comum",
        "prompt": "prompts",
        "replay": "exemplos repetidos",
        "None": "não",
        "linear": "linear",
        "cosine": "cosseno",
        "constant": "constante",
        "True": "sim",
        "False": "não",
    },
    "checks": {
        "below_chance": "Acurácia abaixo da de um chute: respostas mal lidas.",
        "unstopped_answers": "Respostas vazias ou cortadas no limite de tokens.",
        "letter_rate": "Se a geração livre teria respondido com uma letra.",
        "unchanged_adapter": "Modelo ajustado que responde exatamente como a base: o adaptador não foi aplicado.",
        "gold_against_itself": "Consultas de gabarito que não acertam o próprio resultado.",
        "schema_in_prompts": "Prompts sem o esquema.",
        "leaked_items": "Itens avaliados entre os exemplos do prompt ou do treino.",
        "truncated_prompts": "Prompts cortados para caber no modelo.",
        "different_prompts": "Base e modelos ajustados com perguntas diferentes.",
        "different_items": "Base e modelos ajustados com itens diferentes.",
        "published_band": "Acurácias fora da faixa em que as medições públicas concordam.",
        "trained_elsewhere": "Adaptadores treinados fora daqui, não se sabe com que dados.",
    },
    "check_names": {
        "below_chance": "abaixo do acaso",
        "unstopped_answers": "respostas sem fim",
        "letter_rate": "taxa de letras",
        "unchanged_adapter": "adaptador sem efeito",
        "gold_against_itself": "gabarito contra si mesmo",
        "schema_in_prompts": "esquema nos prompts",
        "leaked_items": "itens vazados",
        "truncated_prompts": "prompts cortados",
        "different_prompts": "prompts diferentes",
        "different_items": "itens diferentes",
        "published_band": "faixa publicada",
        "trained_elsewhere": "treinado fora daqui",
    },
    "statuses": {"ok": "aprovada", "warn": "aviso", "fail": "reprovada"},
}
