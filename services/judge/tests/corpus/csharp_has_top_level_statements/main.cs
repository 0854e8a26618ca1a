System.Console.WriteLine(42);
