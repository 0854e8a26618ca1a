using System;
using System.Linq;

class Program {
    static void Main() {
        var numbers = Enumerable.Range(0, 2).Select(_ => int.Parse(Console.ReadLine()));
        Console.WriteLine(numbers.Sum());
    }
}
