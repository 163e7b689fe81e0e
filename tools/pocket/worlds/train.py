"""The databases of the train split, first half."""

from tools.pocket.worlds.model import database, table

TRAIN_A = (
    database(
        "library",
        table(
            "author",
            name="Anna Keller, Ben Ortega, Carla Moss, Dario Lund, Edith Park, Fritz Vogel, Gloria Reyes,"
            " Hanna Berg, Isaac Dune",
            country="Peru, Norway, Chile, Canada",
            born=(1920, 1990),
        ),
        table(
            "book",
            of="author",
            title="Silent Sea, Broken Clock, The Last Key, Paper Moon, Cold Fire, Morning Train, Glass Tower,"
            " Hidden Road, Two Brothers, The Salt House, Empty Chair, Long Winter, Black Feather, Iron Gate",
            genre="novel, poetry, history, travel",
            pages=(90, 640),
            price=(6.0, 38.0),
            year=(1950, 2020),
        ),
    ),
    database(
        "school",
        table(
            "teacher",
            name="Alma, Bruno, Celia, Dennis, Emma, Fred, Grace, Harold, Iris",
            subject="math, history, art, music",
            age=(26, 64),
            salary=(2000, 4800),
        ),
        table(
            "course",
            of="teacher",
            title="Algebra, Geometry, Drawing, Grammar, Biology, Physics, Singing, Logic, Chemistry, Dance, Reading,"
            " Writing, Sculpture",
            floor="first, second, third",
            hours=(10, 80),
            seats=(12, 40),
        ),
    ),
    database(
        "cinema",
        table(
            "director",
            name="Rosa Lind, Hugo Marsh, Sven Dahl, Lucia Ferro, Tomas Vega, Nora West, Pavel Orlov, Mei Chen",
            nationality="Swedish, Italian, Mexican",
            age=(31, 78),
        ),
        table(
            "film",
            of="director",
            title="Red Desert, The Visitor, Night Bus, Blue Smoke, Summer Love, Stone City, The Miner, Wild Coast,"
            " Last Dance, Silver Lake, Hard Rain, The Neighbor, Golden Hour, Open Sky",
            genre="drama, comedy, action, horror",
            year=(1970, 2022),
            duration=(75, 190),
            rating=(3.0, 9.5),
        ),
    ),
    database(
        "farm",
        table(
            "farmer",
            name="Abel, Berta, Cora, Dirk, Elmer, Flora, Gustav, Helga",
            village="Brook, Meadow, Dale",
            age=(24, 75),
            income=(1200, 5200),
        ),
        table(
            "field",
            of="farmer",
            name="North Field, Long Acre, Low Meadow, Sand Patch, Oak Corner, Mill Strip,"
            " Fox Hollow, Stone Ridge, Wet Ground, Sun Slope, Old Orchard, Crow Lane",
            crop="wheat, corn, barley, beans",
            area=(12, 240),
            soil="clay, sand, loam",
        ),
    ),
    database(
        "hotel",
        table(
            "hotel",
            name="Grand Plaza, Sea Breeze, Mountain View, City Lodge, Royal Garden, Park House, Old Mill, Star Palace",
            city="Rome, Athens, Lisbon",
            stars=(1, 9),
            rooms=(20, 320),
        ),
        table(
            "guest",
            name="Amir, Bella, Chen, Diana, Eli, Farah, Gita, Hans, Ida, Juan",
            country="Turkey, Poland, Japan, Ghana",
            age=(19, 81),
        ),
        table("booking", of="hotel guest", rows=18, cost=(80, 890), days=(1, 21), season="summer, winter, spring"),
    ),
    database(
        "garden",
        table(
            "gardener",
            name="Olive, Percy, Rose, Basil, Fern, Jasper, Hazel, Reed",
            skill="roses, herbs, trees",
            age=(20, 70),
            salary=(1300, 2900),
        ),
        table(
            "plant",
            of="gardener",
            name="tulip, daisy, lily, maple, cedar, mint, thyme, sage, lavender, ivy, peony, orchid, clover, fig",
            color="red, white, yellow, purple",
            height=(10, 420),
            price=(2.5, 45.0),
        ),
    ),
    database(
        "bank",
        table(
            "branch",
            name="Harbor, Central, Station, Market, Castle, Valley, Bridge",
            district="north, south, east",
            workers=(4, 60),
            opened=(1920, 2015),
        ),
        table(
            "client",
            of="branch",
            name="Amy, Bob, Carol, Doug, Erin, Floyd, Gwen, Heath, Ilse, Jorge, Kim, Lars, Mona, Ned, Opal",
            job="nurse, baker, lawyer, driver",
            balance=(100, 8900),
            debt=(50, 3900),
            age=(18, 85),
        ),
    ),
    database(
        "restaurant",
        table(
            "chef",
            name="Pierre, Luigi, Yuki, Ravi, Maria, Klaus, Aisha, Pedro",
            origin="France, Italy, Japan, India",
            experience=(2, 38),
            age=(23, 62),
        ),
        table(
            "dish",
            of="chef",
            name="tomato soup, fried rice, grilled fish, beef stew, green salad, egg noodles, lamb curry,"
            " roast duck, bean chili, corn bread, apple pie, shrimp pasta, pork roll, onion tart",
            category="starter, main, dessert",
            price=(4.0, 32.0),
            calories=(120, 890),
            minutes=(5, 95),
        ),
    ),
    database(
        "climbing",
        table(
            "mountain",
            name="Bald Peak, Eagle Rock, Mount Ash, Grey Tooth, Snow Crown, Wolf Horn, Twin Top, Red Cliff, Cloud Rest",
            country="Nepal, Chile, Austria",
            height=(900, 4900),
        ),
        table(
            "climber",
            name="Anders, Birgit, Colin, Dawa, Elsa, Fabio, Gerda, Hiro, Ivo",
            club="Summit, Ridge, Glacier",
            age=(18, 61),
        ),
        table(
            "ascent", of="mountain climber", rows=18, year=(1980, 2023), hours=(4, 60), weather="clear, cloudy, snowy"
        ),
    ),
    database(
        "book_shop",
        table(
            "customer",
            name="Lily, Mark, Nadia, Owen, Patty, Ruth, Steve, Tess, Ulla, Vince",
            city="Leon, Bern, Turin, Cork",
            age=(16, 79),
        ),
        table(
            "receipt",
            of="customer",
            rows=16,
            amount=(5, 240),
            month=(1, 12),
            payment="cash, card, check",
            discount=(1, 40),
        ),
    ),
)
