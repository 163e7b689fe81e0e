"""The raw word lists of the lexicon: column words with what is said of them, and table nouns."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# name; other ways to say it; family; lowest-highest; more less most least
NUMBER_WORDS = """
age; ; level; 18-80; older younger oldest youngest
year; ; year; 1950-2024; newer older newest oldest
price; ; amount; 2.5-95.0; dearer cheaper dearest cheapest
cost; ; amount; 10-900; costlier cheaper costliest cheapest
salary; wage; amount; 1200-9000;
fee; ; amount; 5-300;
budget; ; amount; 1000-90000;
income; ; amount; 1000-9000;
height; ; level; 20-900; taller shorter tallest shortest
length; ; level; 10-900; longer shorter longest shortest
width; ; level; 5-300; wider narrower widest narrowest
depth; ; level; 2-400; deeper shallower deepest shallowest
weight; ; amount; 2-900; heavier lighter heaviest lightest
size; ; level; 10-900; larger smaller largest smallest
area; ; amount; 20-9000; larger smaller largest smallest
speed; ; level; 20-400; faster slower fastest slowest
distance; ; amount; 2-900; farther nearer farthest nearest
duration; ; amount; 5-240; longer shorter longest shortest
temperature; ; level; 5-90; hotter colder hottest coldest
capacity; ; amount; 20-900;
population; ; amount; 500-90000;
rating; ; level; 1.0-9.9;
score; ; level; 10-100;
grade; ; level; 1-100;
rank; ; level; 1-90;
level; ; level; 1-60;
points; ; count; 1-99;
pages; ; count; 40-900;
seats; ; count; 20-400;
rooms; ; count; 5-200;
beds; ; count; 2-90;
goals; ; count; 1-60;
wins; ; count; 1-60;
games; matches; count; 5-200;
votes; ; count; 10-900;
visits; ; count; 1-300;
visitors; guests; count; 20-9000;
members; ; count; 5-300;
workers; ; count; 3-400;
doors; ; count; 2-60;
floors; ; count; 2-60;
windows; ; count; 2-90;
tickets; ; count; 10-900;
sales; ; count; 10-9000;
copies; ; count; 10-9000;
songs; ; count; 3-60;
prizes; awards; count; 1-40;
hours; ; count; 2-90;
days; ; count; 1-90;
minutes; ; count; 5-240;
steps; ; count; 3-400;
trees; ; count; 5-900;
stops; ; count; 3-60;
passengers; ; count; 20-900;
calories; ; count; 50-900;
eggs; ; count; 1-60;
legs; ; count; 2-40;
cars; ; count; 2-300;
boats; ; count; 2-90;
books; ; count; 5-900;
stars; ; count; 1-50;
lessons; ; count; 2-60;
balance; ; amount; 50-9000;
debt; ; amount; 50-9000;
profit; ; amount; 100-90000;
value; ; amount; 10-9000;
quantity; ; amount; 1-300;
amount; ; amount; 5-900;
stock; ; amount; 2-300;
discount; ; level; 1-60;
tax; ; amount; 5-900;
rent; ; amount; 100-4000;
power; ; level; 20-900; stronger weaker strongest weakest
energy; ; level; 10-900;
noise; ; level; 10-120; louder quieter loudest quietest
volume; ; amount; 5-900;
strength; ; level; 1-100; stronger weaker strongest weakest
experience; ; level; 1-45;
founded; founding year; year; 1850-2015;
opened; opening year; year; 1900-2020;
built; building year; year; 1850-2020;
born; birth year; year; 1940-2005;
joined; joining year; year; 1990-2024;
started; starting year; year; 1980-2024;
number; ; level; 1-900;
month; ; year; 1-12;
day; ; year; 1-31;
week; ; year; 1-52;
hour; ; year; 1-24;
demand; ; level; 1-100;
damage; ; amount; 10-9000;
delay; ; amount; 1-240;
load; ; amount; 10-900;
"""

# name; other ways to say it; the preposition that may replace "whose ... is"
GROUP_WORDS = """
country; ; from
city; ; from
town; ; from
region; ; from
village; ; from
state; ; from
nationality; ;
language; ;
color; colour;
kind; sort;
type; ;
category; ;
class; ;
style; ;
genre; ;
subject; ;
role; ;
job; occupation;
position; ;
department; ;
team; ;
club; ;
group; ;
material; ;
shape; ;
status; ;
season; ;
weather; ;
food; ;
fruit; ;
drink; ;
sport; ;
brand; maker;
model; ;
origin; ;
location; ; in
address; ;
street; ; in
district; ; in
floor; ;
room; ;
owner; ;
manager; ;
leader; ;
captain; ;
coach; ;
director; ;
founder; ;
writer; ;
editor; ;
guide; ;
sponsor; ;
partner; ;
gender; ;
family; ;
religion; ;
party; ;
title; ;
skill; ;
habit; ;
hobby; ;
instrument; ;
dance; ;
tool; ;
metal; ;
wood; ;
stone; ;
fuel; ;
engine; ;
source; ;
target; ;
theme; ;
topic; ;
format; ;
mood; ;
quality; ;
condition; ;
taste; ;
smell; ;
flavor; flavour;
sauce; ;
dish; ;
crop; ;
soil; ;
climate; ;
habitat; ;
diet; ;
breed; ;
species; ;
period; ;
event; ;
result; ;
reason; ;
method; ;
service; ;
payment; ;
currency; ;
market; ;
field; ;
degree; ;
rule; ;
weekday; ;
direction; ;
route; ;
zone; ;
terrain; ;
view; ;
finish; ;
pattern; ;
fabric; ;
gate; ;
line; ;
gift; ;
grain; ;
meal; ;
mode; ;
rarity; ;
"""

LABEL_WORDS = ("name", "title", "label", "nickname")

MODIFIERS = _words(
    "home first last main second total daily monthly yearly start end average old new next final local public "
    "private favorite usual summer winter opening early late base net high low original current former best worst "
    "inner outer left right short long full half extra basic special general common native foreign birth release "
    "order entry exit front back top official"
)

PEOPLE = _words(
    "singer author writer reader student teacher doctor nurse patient keeper pilot driver player coach actor "
    "director farmer guest cook chef waiter baker painter artist sculptor visitor guide climber runner swimmer "
    "rider soldier sailor captain officer judge lawyer engineer builder worker manager owner customer client "
    "buyer seller employee member friend neighbor citizen mayor king queen hero poet dancer musician drummer "
    "composer conductor critic editor journalist photographer designer inventor scientist professor tutor pupil "
    "child person dentist surgeon gardener hunter fisher miner tailor barber butcher clerk banker agent spy thief "
    "detective athlete boxer skater cyclist referee trainer passenger traveler donor sponsor voter candidate host "
    "speaker volunteer"
)

THINGS = _words(
    "animal bird fish horse dog cat cow sheep goat bear lion tiger snake insect tree flower plant leaf_type fruit "
    "vegetable seed crop field farm barn garden park forest river lake sea island mountain hill valley desert "
    "beach cave peak trail hut tent camp tour trip journey route road street bridge tunnel tower castle palace "
    "temple church museum gallery statue painting picture photo exhibit collection room hall house home flat "
    "office building floor door window table chair bed lamp clock mirror carpet kitchen oven meal dish recipe "
    "soup salad bread cake pie cookie sandwich pizza cheese sauce drink coffee tea wine juice bottle cup plate "
    "spoon menu order restaurant cafe bar hotel inn booking stay visit ticket concert festival show play film "
    "movie scene series channel program song album band orchestra choir instrument guitar piano lesson course "
    "class exam grade school college library book novel poem story chapter page_note magazine newspaper article "
    "letter report paper map card stamp coin medal prize award contest race match game team league club stadium "
    "season goal sport ball bike car truck bus taxi train station platform rail_line tram plane airport airline "
    "flight ship boat port harbor engine wheel machine robot tool hammer computer phone camera screen printer "
    "battery cable network website page app program_file file message email post comment blog forum bank account "
    "loan payment invoice receipt contract insurance company factory shop store market product item brand box bag "
    "shirt shoe hat coat dress ring jewel toy doll puzzle gift party wedding event meeting project task job "
    "office_desk department branch region country city town village district planet star moon rocket satellite "
    "mine metal stone crystal storm battle war army weapon law court case crime vote election hospital clinic "
    "ward treatment drug vaccine disease operation pharmacy cage zoo stable nest pond pool gym workout shelf "
    "loan_card cell parcel delivery warehouse pipe fountain lift stall booth stage cinema theater studio workshop "
    "bakery orchard vineyard harvest ferry cabin voyage crew expedition ascent rental repair garage"
)
