"""What people in the generated chats talk about: written for Tacit, so that it may be used and shipped freely."""

from __future__ import annotations

from typing import NamedTuple


class Topic(NamedTuple):
    """Something a person tells once. ``{a}`` and ``{b}`` are what tells two people's stories apart, ``{who}`` the
    person's name, ``{when}`` a time such as "last week".

    ``says`` tells a and b; ``hints`` tells a, and leaves b to the answer to a question out of ``probes``, which is one
    of ``answers``. ``same`` and ``other`` ask for it in its own words and in other words, ``dated`` asks when.
    ``after`` are the hearer's replies, ``more`` what the teller adds, ``advice`` what an assistant says about it.
    """

    name: str
    a: tuple[str, ...]
    b: tuple[str, ...]
    says: tuple[str, ...]
    hints: tuple[str, ...]
    probes: tuple[str, ...]
    answers: tuple[str, ...]
    same: tuple[str, ...]
    other: tuple[str, ...]
    dated: tuple[str, ...]
    after: tuple[str, ...]
    more: tuple[str, ...]
    advice: tuple[str, ...]


PEOPLE = (
    "Alma",
    "Bruno",
    "Carla",
    "Dmitri",
    "Edith",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kavya",
    "Liam",
    "Marta",
    "Nils",
    "Olga",
    "Pavel",
    "Quentin",
    "Rosa",
    "Samir",
    "Tilda",
    "Umar",
    "Vera",
    "Wanda",
    "Xenia",
    "Yusuf",
    "Zoe",
    "Anton",
    "Bella",
    "Cyrus",
    "Delia",
    "Emil",
    "Flora",
    "Gideon",
    "Hanna",
    "Igor",
    "Julia",
    "Kofi",
    "Lena",
    "Milo",
    "Nadia",
)
TIMES = ("yesterday", "last week", "last Saturday", "two days ago", "this morning", "a few days ago", "on Monday")
GREETINGS = (
    "Hey {other}! How are things?",
    "Hi {other}, it has been a while. What have you been up to?",
    "Good to hear from you, {other}! Anything new?",
    "Hello {other}, how was your week?",
)
WELCOMES = (
    "Hi {other}! Busy as always, but fine.",
    "Hey, I am good, thanks! It has been hectic at work.",
    "Hello {other}! All well here, a bit tired.",
    "Doing great, thanks for asking!",
)
FILLERS = (
    "That sounds wonderful!",
    "Haha, I can imagine.",
    "Thanks, that means a lot to me.",
    "Wow, I am really happy for you.",
    "You are so right about that.",
    "I totally get that, it takes time.",
    "It really helps to talk about these things.",
    "The weather has been strange lately, hasn't it?",
    "What are your plans for the weekend?",
    "I should get going soon, talk later!",
    "Take care, and keep me posted!",
    "Work has been keeping me up at night, but we will manage.",
)

TOPICS = (
    Topic(
        "pet",
        ("parrot", "beagle", "tortoise", "kitten", "rabbit"),
        ("Pepper", "Juno", "Biscuit", "Olive", "Ziggy"),
        (
            "I adopted a {a} {when}, and I named her {b}.",
            "Guess what, a little {a} called {b} moved in with me {when}!",
        ),
        ("I brought home a {a} from the shelter {when}!",),
        ("What is she called?", "Did you pick a name yet?"),
        ("{b}! It just fit her.", "I went with {b} in the end."),
        ("What is the name of {who}'s {a}?", "Who is {b}, whom {who} adopted?"),
        ("Which animal companion does {who} live with?", "What did {who} call the new pet?"),
        ("When did {who} adopt the {a}?", "When did {who} get a pet?"),
        ("Aw, a {a}! How is she settling in?", "I would love to meet {b} some day."),
        ("She sleeps next to my keyboard all day.", "The vet says that she is perfectly healthy."),
        (
            "Feed a young animal small portions several times a day.",
            "Give a new pet a quiet corner for the first week.",
        ),
    ),
    Topic(
        "job",
        ("architect", "nurse", "data analyst", "pastry chef", "translator"),
        ("Northwind", "Bluestone", "Hollow Oak", "Larkfield", "Kestrel"),
        ("I started as a {a} at {b} {when}.", "{b} hired me as their new {a} {when}, I still cannot believe it."),
        ("I finally signed a contract as a {a} {when}.",),
        ("Which company is it?", "Where will you be working?"),
        ("It is a place called {b}.", "At {b}, close to the river."),
        ("Where does {who} work as a {a}?", "Which company hired {who}?"),
        ("What does {who} do for a living?", "Who is {who}'s employer?"),
        ("When did {who} start at {b}?", "When did {who} get the new job?"),
        ("Congratulations! Is {b} a big company?", "A {a}, that suits you so well."),
        ("My colleagues are kind, and the hours are fine.", "The first days were all paperwork."),
        ("Ask about the first ninety days during an interview.", "A short cover letter is read more often."),
    ),
    Topic(
        "travel",
        ("Lisbon", "Kyoto", "Reykjavik", "Marrakesh", "Quito"),
        ("my sister", "two old friends", "my grandfather", "my choir", "my neighbour"),
        ("I flew to {a} with {b} {when}.", "{b} and I came back from {a} {when}, what a trip!"),
        ("I just got back from {a} {when}, it was stunning.",),
        ("Did you go alone?", "Who came along?"),
        ("No, {b} came with me.", "I went there together with {b}."),
        ("Who flew to {a} with {who}?", "With whom was {who} in {a}?"),
        ("Which foreign city has {who} visited?", "Where did {who} spend the holiday?"),
        ("When was {who} in {a}?", "When did {who} travel abroad?"),
        ("{a} is on my list too! What was the food like?", "I am jealous, I need a holiday."),
        ("The old town was full of music at night.", "We missed one train and laughed about it for hours."),
        ("Book the first night close to the station.", "Carry a copy of your passport in another bag."),
    ),
    Topic(
        "music",
        ("cello", "accordion", "drums", "flute", "banjo"),
        ("the town hall", "a small bar", "my cousin's wedding", "the harbour festival", "the old library"),
        ("I played the {a} at {b} {when}, my hands were shaking.", "My first concert with the {a} was {when}, at {b}."),
        ("I performed with my {a} in front of people {when}!",),
        ("Where was it?", "Which stage did you play on?"),
        ("It was at {b}, quite a crowd came.", "At {b}, of all places."),
        ("Where did {who} play the {a}?", "What did {who} play at {b}?"),
        ("Which instrument does {who} practise?", "Where was {who}'s first gig?"),
        ("When did {who} perform at {b}?", "When did {who} give a concert?"),
        ("I did not know that you play the {a}! Who taught you?", "Please record the next one for me."),
        ("I practise for half an hour before breakfast.", "The teacher says that my rhythm got better."),
        ("Practise slowly with a metronome first.", "Loosen the shoulders before you play."),
    ),
    Topic(
        "cooking",
        ("lentil curry", "plum cake", "pumpkin ravioli", "fish stew", "walnut bread"),
        ("my grandmother", "a monk in the mountains", "an old magazine", "a street vendor", "my father-in-law"),
        ("I made {a} {when} with a recipe from {b}.", "{b} gave me the secret of the {a} that I cooked {when}."),
        ("I cooked {a} for everybody {when} and they loved it.",),
        ("Where did you get the recipe?", "Who showed you how?"),
        ("I have it from {b}.", "Believe it or not, from {b}."),
        ("Who gave {who} the recipe of the {a}?", "From whom does {who} have the {a}?"),
        ("Which dish did {who} prepare for guests?", "What is {who} proud of in the kitchen?"),
        ("When did {who} make the {a}?", "When did {who} cook for everybody?"),
        ("Mmm, {a}! Save me a piece next time.", "You should open a restaurant."),
        ("The trick is to let it rest overnight.", "I burnt the first one, the second was better."),
        ("Toast the spices before you grind them.", "Salt the water only once it boils."),
    ),
    Topic(
        "health",
        ("wrist", "left knee", "shoulder", "ankle", "lower back"),
        ("ice skating", "moving a wardrobe", "a fall from my bike", "digging in the garden", "a volleyball match"),
        ("I hurt my {a} {when}, it happened through {b}.", "After {b} {when} my {a} is swollen and I need rest."),
        ("The doctor looked at my {a} {when}, I have to rest for a month.",),
        ("How did that happen?", "What caused it?"),
        ("It comes from {b}, silly me.", "Well, {b} was not a good idea."),
        ("How did {who} hurt the {a}?", "What happened to {who}'s {a}?"),
        ("Which injury is {who} recovering from?", "Why did {who} have to see a physician?"),
        ("When did {who} hurt the {a}?", "When did {who} have the accident?"),
        ("Oh no, your {a}! Does it still hurt?", "Get well soon, and listen to the doctor."),
        ("The exercises are boring but they work.", "I am allowed to swim again soon."),
        ("Cool a fresh injury for twenty minutes at a time.", "Begin to stretch only when the pain is gone."),
    ),
    Topic(
        "reading",
        ("The Salt Road", "Winter Maps", "A Quiet Engine", "Nine Lanterns", "The Glass Orchard"),
        (
            "how brave the old captain is",
            "the chapters about the sea",
            "that nobody is a villain",
            "its slow ending",
            "the letters in it",
        ),
        ('I finished "{a}" {when}; what I loved most is {b}.', '"{a}" kept me up all night {when}, above all {b}.'),
        ('I read "{a}" in two evenings {when}.',),
        ("What did you like about it?", "Why that one?"),
        ("I loved {b}.", "For me it is {b}."),
        ('What does {who} love about "{a}"?', 'Why did {who} like "{a}"?'),
        ("Which novel did {who} enjoy?", "What impressed {who} in a book?"),
        ('When did {who} finish "{a}"?', "When did {who} read a novel?"),
        ('I have "{a}" on my shelf, should I begin it?', "You always find the good ones."),
        ("I want to read everything else by the same author.", "Our reading group meets again in spring."),
        ("Read twenty pages before you give up on a book.", "Keep a notebook of sentences that you like."),
    ),
    Topic(
        "home",
        ("roof terrace", "cellar", "kitchen", "attic", "guest room"),
        ("sea green", "mustard yellow", "dusty pink", "charcoal grey", "sky blue"),
        ("We painted the {a} in {b} {when}.", "The {a} is done since {when}: everything in {b} now!"),
        ("I renovated the {a} {when}, my arms are so sore.",),
        ("What colour did you choose?", "How does it look now?"),
        ("All in {b}, it glows in the evening.", "We took {b} after a long debate."),
        ("In what colour did {who} paint the {a}?", "Which room of {who}'s is {b}?"),
        ("What did {who} renovate?", "Which shade did {who} choose for the walls?"),
        ("When did {who} paint the {a}?", "When did {who} do the renovation?"),
        ("The {a} must look so different! Do you have a picture?", "You two never sit still."),
        ("There is still paint in my hair.", "Next come the shelves and a big lamp."),
        ("Wash the walls before you paint them.", "Two thin coats last longer than a thick one."),
    ),
    Topic(
        "sport",
        ("half marathon", "chess tournament", "rowing regatta", "fencing cup", "climbing contest"),
        ("second", "eleventh", "fourth", "last", "seventh"),
        ("I took part in a {a} {when} and came in {b}.", "I came in {b} in the {a} {when}!"),
        ("My {a} was {when}, I trained for it for half a year.",),
        ("How did it go?", "And, which place did you get?"),
        ("I came in {b}, better than I had feared.", "In the end I was {b}."),
        ("Which place did {who} get in the {a}?", "How did {who} do in the {a}?"),
        ("What competition did {who} enter?", "How successful was {who} as an athlete?"),
        ("When did {who} take part in the {a}?", "When was {who}'s competition?"),
        ("A {a}, you are amazing! Will you do it again?", "I would not even dare to sign up."),
        ("I could not climb the stairs the day after.", "The people at the finish cheered for everybody."),
        ("Rest completely on the two days before a race.", "Eat nothing new on the day itself."),
    ),
    Topic(
        "child",
        ("daughter", "nephew", "youngest son", "godchild", "niece"),
        ("dinosaurs", "trains", "the planets", "ballet", "volcanoes"),
        ("My {a} had a birthday {when}; at the moment it is all about {b}.", "We took my {a} to see {b} {when}."),
        ("We had a big party for my {a} {when}.",),
        ("What is the theme this year?", "What does the kid like these days?"),
        ("It is {b}, from morning to night.", "Everything has to be about {b}."),
        ("What is {who}'s {a} fond of?", "Who in {who}'s family loves {b}?"),
        ("What is the child in {who}'s family interested in?", "Which obsession do the kids around {who} have?"),
        ("When was the birthday of {who}'s {a}?", "When did {who} give a party?"),
        ("They grow up so fast! How old is your {a} now?", "That is adorable."),
        ("There was cake on the ceiling.", "I was the one who fell asleep first."),
        ("Let children choose between two things, not ten.", "Plan a quiet hour after every party."),
    ),
    Topic(
        "studies",
        ("marine biology", "Portuguese", "pottery", "accounting", "astronomy"),
        ("the evening school", "an online academy", "the university of Ghent", "a monastery", "the community centre"),
        ("I enrolled in a {a} course at {b} {when}.", "My first {a} lesson at {b} was {when}."),
        ("I signed up for {a} {when}, finally something for me.",),
        ("Where do they teach that?", "Which school offers it?"),
        ("It is at {b}, twice a week.", "At {b}, and it is nearly free."),
        ("Where does {who} learn {a}?", "What does {who} learn at {b}?"),
        ("Which subject does {who} study?", "What class is {who} taking?"),
        ("When did {who} enrol in {a}?", "When did {who} begin to study?"),
        ("{a} sounds hard! Do you get homework?", "I admire that you still learn new things."),
        ("The teacher explains everything twice.", "The final exam is before summer."),
        ("Repeat new material after one day and after one week.", "Explain aloud what you have learned."),
    ),
    Topic(
        "vehicle",
        ("scooter", "camper van", "folding bike", "sailing boat", "pickup truck"),
        ("the brakes", "the battery", "a broken mirror", "the clutch", "a leak"),
        ("My {a} broke down {when} because of {b}.", "{b} of my {a} cost me a whole day {when}."),
        ("My {a} left me standing in the rain {when}.",),
        ("What was wrong with it?", "Did they find the cause?"),
        ("It was {b}, not even expensive.", "They say it is {b}."),
        ("What was wrong with {who}'s {a}?", "What of {who}'s had trouble with {b}?"),
        ("What does {who} drive?", "Why did {who} need a mechanic?"),
        ("When did {who}'s {a} break down?", "When did {who} need a mechanic?"),
        ("Your poor {a}! How did you get home?", "Machines know exactly when it rains."),
        ("A stranger gave me a lift and an umbrella.", "The garage was very fast."),
        ("Check the tyres once a month.", "Write down every repair with its date."),
    ),
)

STANDING = (
    ("preference", "{who} likes the {b} seat", ("window", "aisle", "front"), "Where should {who} sit on the plane?"),
    (
        "preference",
        "{who} takes {b} in the morning",
        ("green tea", "black coffee", "hot chocolate"),
        "What should I order for {who} to drink?",
    ),
    (
        "instruction",
        "Write to {who} in {b}",
        ("Danish", "Swahili", "plain English"),
        "How should I address the answer to {who}?",
    ),
    ("preference", "{who} pays by {b}", ("invoice", "credit card", "bank transfer"), "How does {who} settle bills?"),
)
"""Kind, text, what differs, and a question in other words."""

TONGUES: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "German": (
        (
            "{who} hat gestern ein {a} gekauft.",
            "Was hat {who} gekauft?",
            ("Klavier", "Fahrrad", "Ruderboot", "Teleskop"),
        ),
        (
            "{who} lernt abends an der Volkshochschule {a}.",
            "Welches Fach lernt {who}?",
            ("Spanisch", "Töpfern", "Buchhaltung"),
        ),
        ("Die Nachbarin von {who} züchtet {a}.", "Was züchtet die Nachbarin von {who}?", ("Rosen", "Tauben", "Ziegen")),
    ),
    "French": (
        (
            "{who} a acheté {a} au marché samedi.",
            "Qu'est-ce que {who} a acheté au marché ?",
            ("un tapis", "des abricots", "une guitare"),
        ),
        (
            "{who} travaille comme {a} à l'hôpital.",
            "Quel est le métier de {who} ?",
            ("infirmier", "cuisinier", "comptable"),
        ),
        ("Le frère de {who} habite près de {a}.", "Où habite le frère de {who} ?", ("Nantes", "Lyon", "Lille")),
    ),
    "Spanish": (
        ("{who} plantó {a} en el jardín.", "¿Qué plantó {who} en el jardín?", ("limoneros", "tomates", "girasoles")),
        ("A {who} le duele {a} desde el lunes.", "¿Qué le duele a {who}?", ("la rodilla", "el hombro", "la espalda")),
        ("{who} viajará en tren a {a}.", "¿Adónde viajará {who}?", ("Sevilla", "Bilbao", "Valencia")),
    ),
    "Russian": (
        ("{who} вчера купил {a}.", "Что купил {who}?", ("велосипед", "самовар", "гитару")),
        ("{who} боится {a} с детства.", "Чего боится {who}?", ("собак", "высоты", "грозы")),
    ),
    "Chinese": (
        ("{who}昨天在市场买了{a}。", "{who}在市场买了什么？", ("一把吉他", "两只兔子", "一辆自行车")),
        ("{who}在医院当{a}。", "{who}的职业是什么？", ("护士", "厨师", "会计")),
        ("{who}最喜欢的颜色是{a}。", "{who}喜欢什么颜色？", ("深蓝色", "浅绿色", "橙色")),
    ),
    "Japanese": (
        ("{who}さんは先週{a}を買いました。", "{who}さんは何を買いましたか。", ("ピアノ", "自転車", "望遠鏡")),
        ("{who}さんの趣味は{a}です。", "{who}さんの趣味は何ですか。", ("陶芸", "登山", "写真")),
    ),
    "Arabic": (
        ("اشترى {who} {a} من السوق أمس.", "ماذا اشترى {who} من السوق؟", ("سجادة", "دراجة", "عودا")),
        ("يعمل {who} {a} في المستشفى.", "ما هي مهنة {who}؟", ("ممرضا", "طباخا", "محاسبا")),
    ),
    "Hindi": (
        ("{who} ने कल बाज़ार से {a} खरीदी।", "{who} ने बाज़ार से क्या खरीदा?", ("साइकिल", "किताब", "घड़ी")),
        ("{who} का पसंदीदा रंग {a} है।", "{who} को कौन सा रंग पसंद है?", ("नीला", "हरा", "लाल")),
    ),
}
"""For each language: statement, question, and what differs."""
