"""The databases of the train split, second half."""

from tools.pocket.worlds.model import database, table

TRAIN_B = (
    database(
        "theater",
        table(
            "actor",
            name="Agnes, Bert, Chloe, Duncan, Esther, Floyd, Gemma, Hector, Ingrid",
            role="king, queen, servant, soldier",
            age=(19, 72),
            salary=(900, 5200),
        ),
        table(
            "play",
            title="The Crown, Two Masks, Winter Tale, The Well, Broken Vow, Silver Thread, The Stranger",
            theme="love, war, power",
            year=(1880, 2010),
            tickets=(60, 700),
        ),
        table("show", of="actor play", rows=18, day=(1, 31), visitors=(40, 460), city="Prague, Bruges, Seville"),
    ),
    database(
        "gym",
        table(
            "trainer",
            name="Boris, Carmen, Dmitri, Eve, Fidel, Gabi, Hulk, Irene",
            sport="boxing, yoga, rowing",
            age=(21, 58),
            fee=(15, 95),
        ),
        table(
            "member",
            of="trainer",
            name="Aldo, Becky, Cliff, Donna, Ernie, Fiona, Glenn, Holly, Ian, Judy, Kurt, Lola, Mike, Nell",
            city="Troy, Salem, Dover",
            weight=(48, 120),
            visits=(2, 150),
            joined=(1998, 2023),
        ),
    ),
    database(
        "newspaper",
        table(
            "journalist",
            name="Kate Bell, Leo Frost, Mara Quill, Nils Ember, Opal Dean, Pia Holt, Rolf Stark",
            language="English, Spanish, German",
            experience=(1, 33),
            salary=(1800, 4600),
        ),
        table(
            "article",
            of="journalist",
            title="City Flood, New Bridge, Lost Dog, Tax Fight, Storm Night, School Prize, Old Ship, Market Fire,"
            " Green Plan, Big Match, Secret Letter, Night Train, Sick Trees, Stolen Ring",
            topic="politics, sport, nature, crime",
            pages=(1, 25),
            votes=(20, 900),
        ),
    ),
    database(
        "harbor",
        table(
            "captain",
            name="Ahab, Bligh, Drake, Ferro, Hook, Morgan, Nemo, Sparrow, Vance",
            nationality="Dutch, Greek, Danish",
            age=(30, 70),
        ),
        table(
            "ship",
            of="captain",
            name="Albatross, Black Pearl, Dolphin, Evening Star, Fortune, Golden Hind, Hope, Mermaid, Neptune, Orca,"
            " Seagull, Triton, Victory, Whale",
            type="ferry, tanker, yacht",
            length=(20, 340),
            speed=(8, 45),
            built=(1950, 2018),
        ),
    ),
    database(
        "company",
        table(
            "department",
            name="sales, finance, design, research, support, legal, training",
            floor="first, second, third",
            budget=(2000, 48000),
        ),
        table(
            "employee",
            of="department",
            name="Aaron, Bianca, Cyril, Debra, Edgar, Faith, George, Heidi, Isabel, Jerome, Kelly, Louis, Megan,"
            " Nathan, Oprah, Philip",
            job="clerk, analyst, manager, engineer",
            salary=(1500, 7800),
            age=(20, 65),
            started=(1990, 2023),
        ),
    ),
    database(
        "national_park",
        table(
            "park",
            name="Bear Valley, Blue Canyon, Crystal Lake, Eagle Coast, Lost Dunes, Misty Woods, Pine Ridge,"
            " Thunder Falls",
            state="Utah, Maine, Oregon",
            area=(100, 4000),
            opened=(1890, 1985),
        ),
        table(
            "trail",
            of="park",
            name="Fox Path, Moss Walk, Deer Loop, River Bend, Cliff Edge, Cave Route, Fern Track, Owl Way, Salt Pass,"
            " Bird Lane, Hawk Climb, Frog Pond, Stone Steps",
            terrain="rock, sand, forest",
            length=(2, 60),
            steps=(5, 390),
        ),
    ),
    database(
        "market",
        table(
            "seller",
            name="Abdul, Brenda, Carlos, Dalia, Enzo, Fatima, Gino, Hilda",
            district="old town, port, hill",
            age=(20, 71),
            rent=(100, 900),
        ),
        table(
            "product",
            of="seller",
            name="apples, bread, butter, cheese, chicken, eggs, garlic, honey, lemons, milk, olives, pears, rice,"
            " salt, sugar",
            category="fruit, dairy, bakery, other",
            price=(2.5, 24.0),
            stock=(5, 290),
        ),
    ),
    database(
        "orchestra",
        table(
            "musician",
            name="Amelia, Bjorn, Claude, Dora, Emil, Franz, Gisela, Hans, Ilya, Johann",
            instrument="violin, flute, drum, cello",
            age=(21, 68),
            salary=(1900, 5300),
        ),
        table(
            "lesson",
            of="musician",
            rows=16,
            fee=(20, 95),
            minutes=(20, 120),
            weekday="Monday, Wednesday, Saturday",
            level=(1, 9),
        ),
    ),
    database(
        "bicycle",
        table(
            "brand",
            name="Falcon, Tornado, Nomad, Cobra, Zenith, Pioneer, Drift",
            country="Taiwan, Belgium, Italy",
            founded=(1890, 2005),
            workers=(20, 380),
        ),
        table(
            "bike",
            of="brand",
            name="City One, Trail Fox, Road King, Dirt Star, Wind Runner, Hill Master, Easy Rider, Street Cat,"
            " Snow Tiger, Sand Hopper, Night Rider, Speed Bird, Kid Joy, Cargo Mule",
            color="black, silver, green, orange",
            weight=(7, 28),
            price=(100, 900),
        ),
    ),
    database(
        "election",
        table(
            "city",
            name="Amber, Bayview, Cedar, Dunmore, Elmwood, Fairfield, Glenwood, Harwick",
            region="north, center, south",
            population=(900, 90000),
            area=(30, 700),
        ),
        table(
            "candidate",
            of="city",
            name="Alice, Byron, Cathy, Derek, Elaine, Forrest, Gail, Howard, Inga, Jasmine, Keith, Linda, Morris,"
            " Nancy",
            party="Green, Labor, Union, Center",
            age=(28, 77),
            votes=(40, 890),
        ),
    ),
)
