"""The rules by number; docs/rules.md holds their texts."""

RULES = {
    "R1": "Identity",
    "R2": "Time",
    "R3": "Order",
    "R4": "Limit",
    "R5": "Scope",
    "R6": "Writes",
    "R7": "Failure is never emptiness",
    "R8": "Payloads",
    "R9": "Setup",
    "R10": "Lifecycle",
    "R11": "Secrets",
    "R12": "Async",
    "R13": "Lost updates",
    "R14": "Expiry",
    "R15": "Clean-up",
    "R16": "Hostile data",
    "R17": "Search",
    "R18": "Freshness",
    "R20": "Filters",
    "R21": "Bounds",
}
