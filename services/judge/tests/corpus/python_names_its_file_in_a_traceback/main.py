def fails():
    return {}["key"]


fails()
