"""How much energy calls use: the published formula, whose figures, and which model a name is. Pure."""
