"""English tables of the text normaliser: currencies, units, months, abbreviations."""

from __future__ import annotations

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MONTH_OF = {name[:3].lower(): i for i, name in enumerate(MONTHS, 1)}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₩": ("won", "won", "", ""),
    "₺": ("lira", "lira", "", ""),
    "₪": ("shekel", "shekels", "", ""),
    "฿": ("baht", "baht", "", ""),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "CA$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "C$": ("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "A$": ("Australian dollar", "Australian dollars", "cent", "cents"),
    "CHF": ("Swiss franc", "Swiss francs", "", ""),
    "CN¥": ("yuan", "yuan", "", ""),
    "¢": ("cent", "cents", "", ""),
}
"""Sign: one, several, one hundredth, several of them."""
CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "RUB": "₽", "KRW": "₩",
         "CAD": "CA$", "AUD": "A$", "CHF": "CHF", "CNY": "CN¥"}  # fmt: skip
SCALES = {
    "k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion",
    "tn": "trillion", "thousand": "thousand", "million": "million", "billion": "billion",
    "trillion": "trillion",
}  # fmt: skip
_PLURAL_S = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "m": "meter",
    "km²": "square kilometer", "km2": "square kilometer", "m²": "square meter",
    "m2": "square meter", "m³": "cubic meter", "m3": "cubic meter", "mi": "mile", "yd": "yard",
    "kg": "kilogram", "mg": "milligram", "g": "gram", "lb": "pound", "lbs": "pound", "oz": "ounce",
    "mL": "milliliter", "ml": "milliliter", "L": "liter", "l": "liter", "ms": "millisecond",
    "s": "second", "sec": "second", "min": "minute", "hr": "hour", "hrs": "hour", "h": "hour",
    "dB": "decibel", "TB": "terabyte", "GB": "gigabyte", "MB": "megabyte", "kB": "kilobyte",
    "KB": "kilobyte", "kWh": "kilowatt hour", "kW": "kilowatt", "MW": "megawatt", "W": "watt",
    "kV": "kilovolt", "V": "volt",
}  # fmt: skip
# Letters that are words by themselves ("a", "in") are not units here.
UNITS = {symbol: (name, f"{name}s") for symbol, name in _PLURAL_S.items()} | {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "m/s": ("meter per second", "meters per second"),
    "kbps": ("kilobit per second", "kilobits per second"),
    "Mbps": ("megabit per second", "megabits per second"),
    "ft": ("foot", "feet"),
    "GHz": ("gigahertz", "gigahertz"),
    "MHz": ("megahertz", "megahertz"),
    "kHz": ("kilohertz", "kilohertz"),
    "Hz": ("hertz", "hertz"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "℃": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
    "‰": ("per mille", "per mille"),
}
"""Symbol: one, several."""
ABBREVIATIONS = {
    "Mr.": "Mister", "Mrs.": "Missus", "Ms.": "Miz", "Dr.": "Doctor", "Prof.": "Professor",
    "Capt.": "Captain", "Lt.": "Lieutenant", "Sgt.": "Sergeant", "Gen.": "General",
    "Rev.": "Reverend", "Jr.": "Junior", "Sr.": "Senior", "approx.": "approximately",
    "dept.": "department", "vs.": "versus", "e.g.": "for example", "i.e.": "that is",
    "Mt.": "Mount", "Ave.": "Avenue", "Blvd.": "Boulevard", "w/o": "without", "w/": "with",
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Prof": "Professor", "vs": "versus",
    "c.f.": "compare", "cf.": "compare", "a.k.a.": "also known as", "ASAP": "as soon as possible",
    "P.S.": "P S", "St.": "Saint", "Dr": "Doctor", "St": "Saint", "Rd.": "Road",
    "Inc.": "Incorporated",
    "Corp.": "Corporation", "Ltd.": "Limited", "Hon.": "Honorable", "Gov.": "Governor",
    "Sen.": "Senator", "Rep.": "Representative", "Col.": "Colonel", "min.": "minutes",
}  # fmt: skip
WEEKDAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday",
    "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip
INITIALISMS = frozenset({
    "US", "UK", "IT", "WHO", "AI", "UN", "EU", "PR", "HR", "ER", "ICE", "SAT", "ACT", "ADD", "AM",
    "PM", "DC", "LA", "MS", "PA", "OR", "MA", "ID", "ET", "IO", "BA", "AD", "BC", "CE", "DO", "CO",
})  # fmt: skip
"""Words in capitals that are spelled, though there is another word of the same letters."""
SPOKEN_ACRONYMS = frozenset({
    "NASA", "NATO", "UNESCO", "UNICEF", "OPEC", "AIDS", "LASER", "RADAR", "SCUBA", "COVID", "SARS",
    "JPEG", "GIF", "RAM", "ROM", "PIN", "SIM", "LAN", "WAN", "WIFI", "SWAT", "FEMA", "NAFTA",
    "ASEAN", "FIFA", "UEFA", "BASIC", "CAPTCHA", "POTUS", "SCOTUS", "MIDI", "GUI", "SONAR", "TASER",
    "YOLO", "LOL", "BIOS", "ASCII", "DARPA", "NOAA", "OSHA", "HIPAA", "IKEA", "SaaS",
})  # fmt: skip
"""Words in capitals that are read as words, though no dictionary has them."""
COUNTED = frozenset({
    "War", "Chapter", "Part", "Act", "Volume", "Book", "Phase", "Type", "Section", "Article",
    "Figure", "Table", "Level", "Mark", "Class", "Stage", "Bowl", "Scene", "Title", "Appendix",
    "Episode", "Season", "Round", "Unit", "Grade", "Schedule", "Apollo", "Gemini",
})  # fmt: skip
"""What Roman numerals count: "World War II" is two, "Henry VIII" the eighth."""
RULERS = frozenset({
    "Henry", "Louis", "Charles", "George", "Edward", "Richard", "William", "James", "Elizabeth",
    "Mary", "Philip", "John", "Paul", "Pius", "Benedict", "Francis", "Frederick", "Napoleon",
    "Nicholas", "Alexander", "Catherine", "Peter", "Ivan", "Leo", "Gregory", "Innocent", "Clement",
    "Ferdinand", "Alfonso", "Carlos", "Juan", "Ramses", "Otto", "Leopold", "Wilhelm", "Margaret",
    "Christian", "Gustav", "Haakon", "Harald", "Felipe", "Umberto", "Victor", "Emmanuel", "Darius",
    "Xerxes", "Ptolemy", "Cleopatra", "Constantine", "Theodosius", "Julius", "Urban", "Sixtus",
})  # fmt: skip
