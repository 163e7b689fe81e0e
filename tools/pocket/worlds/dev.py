"""The eight databases of the dev split. No model is trained on questions over these."""

from tools.pocket.worlds.model import database, table

DEV = (
    database(
        "zoo",
        table(
            "keeper",
            name="Anna, Bruno, Clara, David, Elena, Felix, Greta, Hugo, Ines, Jonas",
            age=(22, 63),
            salary=(1500, 4200),
            skill="birds, snakes, cats, fish",
        ),
        table(
            "animal",
            of="keeper",
            name="Leo, Nala, Kiki, Bobo, Zara, Rex, Luna, Max, Coco, Milo, Tara, Oscar, Ruby, Simba, Pearl, Rocky",
            kind="lion, bear, monkey, tiger, zebra",
            origin="Kenya, India, Brazil, China",
            weight=(20, 480),
            age=(1, 40),
        ),
    ),
    database(
        "airline",
        table(
            "airport",
            name="Oslo, Lima, Paris, Cairo, Delhi, Boston, Madrid, Berlin, Tokyo, Sydney",
            region="north, south, east, west",
            opened=(1930, 1998),
            passengers=(100, 900),
        ),
        table(
            "pilot",
            name="Laura, Marco, Nina, Otto, Paula, Quinn, Rita, Simon, Tina",
            nationality="French, German, Italian, Greek",
            experience=(2, 35),
        ),
        table(
            "flight",
            of="airport pilot",
            rows=18,
            distance=(200, 690),
            price=(40, 480),
            seats=(80, 300),
            weekday="Monday, Tuesday, Friday, Sunday",
        ),
    ),
    database(
        "hospital",
        table(
            "doctor",
            name="Adam Stone, Beth Young, Carl Wood, Dora King, Emil Fox, Fay Brown, Gil Hill, Hana Lake",
            department="heart, bones, eyes, skin",
            salary=(4000, 9000),
            experience=(3, 34),
        ),
        table(
            "patient",
            of="doctor",
            name="Ivan, Julia, Karl, Lena, Mia, Noah, Olga, Peter, Rosa, Sara, Tom, Uma, Victor, Wendy, Xenia, Yara",
            city="Porto, Milan, Geneva, Dublin, Vienna",
            age=(4, 88),
            days=(1, 40),
        ),
    ),
    database(
        "museum",
        table(
            "painter",
            name="Silva, Moreau, Keller, Rossi, Novak, Larsen, Ortega, Tanaka, Bauer",
            country="Spain, France, Italy, Japan",
            born=(1780, 1950),
        ),
        table(
            "painting",
            of="painter",
            title="Red Boat, Blue Door, Old Bridge, White Horse, Silent River, Green Hill, Golden Field, Dark Forest,"
            " Quiet Street, Yellow House, Winter Sun, Black Cat, Open Window, Lost Garden, Summer Rain",
            style="modern, classic, abstract",
            year=(1800, 1990),
            value=(200, 9000),
            height=(30, 240),
        ),
        table("visit", of="painting", rows=14, month=(1, 12), visitors=(20, 400), guide="Ada, Ben, Cleo, Dan"),
    ),
    database(
        "bakery",
        table(
            "baker",
            name="Omar, Petra, Ralf, Sofia, Tariq, Ursula, Vera, Walter",
            town="Fulton, Marlow, Ashford",
            age=(19, 64),
            experience=(1, 40),
        ),
        table(
            "cake",
            of="baker",
            name="apple cake, lemon cake, plum cake, nut cake, cherry cake, honey cake, carrot cake, cream cake,"
            " coffee cake, banana cake, berry cake, almond cake, ginger cake, orange cake",
            flavor="sweet, sour, bitter, mild",
            price=(2.5, 19.5),
            calories=(180, 620),
            eggs=(1, 9),
        ),
    ),
    database(
        "football",
        table(
            "club",
            name="Rovers, United, Wanderers, Rangers, Eagles, Lions, Falcons, Wolves, Sharks, Bears",
            city="Leeds, Derby, Bristol, York",
            founded=(1870, 1990),
            members=(100, 900),
        ),
        table(
            "player",
            of="club",
            name="Alan, Boris, Cesar, Diego, Erik, Frank, Gavin, Henry, Igor, Jack, Kevin, Liam, Mario, Nico, Oleg,"
            " Pablo, Raul, Sam",
            position="keeper, defender, striker, winger",
            age=(17, 38),
            goals=(1, 45),
            salary=(1000, 8500),
        ),
    ),
    database(
        "railway",
        table(
            "station",
            name="Northgate, Millbrook, Oakfield, Riverside, Hilltop, Seaview, Newtown, Eastwood, Kingsway",
            region="coast, valley, mountains",
            opened=(1850, 1985),
            floors=(1, 9),
        ),
        table(
            "train",
            of="station",
            name="Arrow, Comet, Swift, Rocket, Falcon, Meteor, Breeze, Thunder, Shadow, Spirit, Flash, Storm, Star",
            fuel="diesel, electric, steam",
            speed=(60, 300),
            seats=(90, 600),
            built=(1955, 2015),
        ),
        table("ticket", of="train", rows=16, price=(5.0, 90.0), category="first, second, family", month=(1, 12)),
    ),
    database(
        "music_festival",
        table(
            "band",
            name="Night Owls, Red Foxes, Silver Moon, Loud Crowd, Paper Kites, Wild Roses, Iron Wings,"
            " Blue Notes, Sun Riders, Stone Hearts",
            genre="rock, jazz, folk, pop",
            members=(2, 14),
            founded=(1975, 2018),
        ),
        table(
            "stage",
            name="Main, River, Garden, Tower, Forest, Harbor, Castle",
            capacity=(200, 5000),
            location="north, south, center",
        ),
        table(
            "concert",
            of="band stage",
            rows=18,
            duration=(30, 150),
            tickets=(100, 599),
            day=(1, 30),
            weather="sunny, rainy, windy",
        ),
    ),
)
