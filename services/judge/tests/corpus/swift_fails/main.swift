fatalError("no")
