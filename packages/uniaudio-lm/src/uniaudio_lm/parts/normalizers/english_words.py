"""English tables of the text normaliser: currencies, units, months, abbreviations."""

from __future__ import annotations

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
MONTH_OF = {name[:3].lower(): i for i, name in enumerate(MONTHS, 1)}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "US$": ("US dollar", "US dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
"""Sign: one, several, one hundredth, several of them."""
CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
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
# Letters that are words by themselves ("a", "in") are no units here.
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
    "Mt.": "Mount", "Ave.": "Avenue", "Blvd.": "Boulevard",
}  # fmt: skip
