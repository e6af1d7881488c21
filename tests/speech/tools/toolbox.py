"""Tools as real sessions declare them, by hand, by pydantic and by zod."""

from __future__ import annotations

from typing import Any

from offhook.protocol.prompt import Tool


def tool(
    called: str,
    about: str = "",
    required: tuple[str, ...] | None = None,
    /,
    **properties: dict[str, Any],
) -> Tool:
    """A tool whose parameters are all required, unless it is said which."""
    needed = list(properties if required is None else required)
    schema = {"type": "object", "properties": properties, "required": needed}
    return Tool(called, about, schema)


def handoff(name: str, about: str = "") -> Tool:
    """A handoff as the official agents SDKs declare it."""
    return Tool(
        f"transfer_to_{name.lower().replace(' ', '_')}",
        f"Handoff to the {name} agent to handle the request. {about}",
        {
            "type": "object",
            "properties": {},
            "required": [],
            "additionalProperties": False,
        },
    )


STRING = {"type": "string"}
NULL = {"type": "null"}

WEATHER = tool(
    "get_weather",
    "Get the current weather for a city.",
    city={"type": "string", "description": "The city, e.g. San Francisco"},
)
ORDER = tool(
    "lookup_order",
    "Look up a customer's order by its number.",
    order_number={"type": "string", "description": "The order number"},
)
LIGHT = tool(
    "set_light",
    "Turn a light in a room on or off.",
    room={"type": "string", "enum": ["kitchen", "living_room", "bedroom"]},
    on={"type": "boolean", "description": "Whether the light is on"},
)
TABLE = tool(
    "bookTable",
    "Book a table at the restaurant.",
    ("date", "partySize"),
    date={"type": "string", "format": "date"},
    time={"type": "string"},
    partySize={"type": "integer", "minimum": 1, "maximum": 12},
    name={"anyOf": [STRING, NULL]},
)
EMAIL = tool(
    "send_email",
    "Send an email to somebody.",
    ("to", "body"),
    to={"type": "string", "description": "Name or address of the recipient"},
    subject=STRING,
    body=STRING,
)
SEARCH = tool("search_web", "Search the web.", query=STRING)
TIMER = tool("set_timer", "Start a timer.", seconds={"type": "integer", "minimum": 1})
CALCULATOR = tool("calculator", "Evaluate an arithmetic expression.", expression=STRING)
VOLUME = tool(
    "set_volume",
    "Change the volume of the music.",
    level={"type": "integer", "minimum": 0, "maximum": 100},
)
MUSIC = tool("play-music", "Play music.", ("genre",), genre=STRING, artist=STRING)
SHOPPING = tool(
    "add_to_shopping_list",
    "Put items on the shopping list.",
    items={"type": "array", "items": STRING},
)
FLIGHT = tool(
    "search_flights",
    "Find flights between two cities.",
    ("origin", "destination", "date", "cabin"),
    origin=STRING,
    destination=STRING,
    date={"type": "string", "format": "date"},
    cabin={"anyOf": [{"const": "economy"}, {"const": "business"}, NULL]},
)
CANCEL = tool(
    "cancel_order",
    "Cancel an order that was not shipped yet.",
    order_id={"type": "integer"},
)
CURRENCY = tool(
    "convert_currency",
    "Convert an amount of money.",
    amount={"type": "number", "exclusiveMinimum": 0},
    from_currency={"enum": ["USD", "EUR", "GBP"]},
    to_currency={"enum": ["USD", "EUR", "GBP"]},
)
THERMOSTAT = tool(
    "setThermostat",
    "Set the temperature of the heating.",
    ("temperature",),
    temperature={"type": "number", "minimum": 5, "maximum": 30},
    unit={"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
)
DOOR = tool("lock_door", "Lock or unlock a door.", locked={"type": "boolean"})
REMINDER = tool(
    "create_reminder",
    "Remind the caller of something.",
    text=STRING,
    at={"type": "string", "format": "date-time"},
)
PIZZA = Tool(
    "order_pizza",
    "Order a pizza.",
    {
        "type": "object",
        "properties": {
            "pizza": {"$ref": "#/$defs/Pizza"},
            "quantity": {"type": "integer", "default": 1, "minimum": 1},
            "address": {"anyOf": [{"$ref": "#/$defs/Address"}, NULL]},
        },
        "required": ["pizza", "quantity", "address"],
        "additionalProperties": False,
        "$defs": {
            "Size": {"type": "string", "enum": ["small", "medium", "large"]},
            "Pizza": {
                "type": "object",
                "properties": {
                    "size": {"allOf": [{"$ref": "#/$defs/Size"}]},
                    "toppings": {
                        "type": "array",
                        "items": {"enum": ["mushrooms", "ham", "olives"]},
                    },
                    "extra_cheese": {"type": ["boolean", "null"]},
                },
                "required": ["size", "toppings", "extra_cheese"],
                "additionalProperties": False,
            },
            "Address": {
                "type": "object",
                "properties": {"street": STRING, "zip": STRING},
                "required": ["street", "zip"],
            },
        },
    },
)
FAQ = tool("ask_docs", "Answer questions about the product manual.", question=STRING)
PHONE = tool("call_contact", "Call a person.", contact_name=STRING)
STATUS = Tool("get_server_status", "Whether the servers run.", {})
BILLING = handoff("Billing", "Answers questions about invoices.")
REFUND = handoff("Refund Agent")
SUPPORT = handoff("Support")

ALL = (
    WEATHER, ORDER, LIGHT, TABLE, EMAIL, SEARCH, TIMER, CALCULATOR, VOLUME, MUSIC,
    SHOPPING, FLIGHT, CANCEL, CURRENCY, THERMOSTAT, DOOR, REMINDER, PIZZA, PHONE,
    STATUS, BILLING, REFUND, SUPPORT,
)  # fmt: skip
