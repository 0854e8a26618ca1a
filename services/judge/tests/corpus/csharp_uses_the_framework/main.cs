using System;
using System.Data;
using System.Linq;
using System.Numerics;
using System.Xml.Linq;

class Program {
    static (int sum, string text) Pair(dynamic a, dynamic b) => (a + b, $"{a}{b}");

    static void Main() {
        Console.WriteLine(BigInteger.Pow(2, 100));
        Console.WriteLine(new Complex(0, 1) * new Complex(0, 1) == -1);
        Console.WriteLine(new Vector2(3, 4).Length());
        Console.WriteLine(new XElement("a", new XElement("b", 1)).ToString(SaveOptions.DisableFormatting));
        Console.WriteLine(new DataTable().Compute("1+2*3", ""));
        var (sum, text) = Pair(1, 2);
        Console.WriteLine(sum + text);
        Span<int> span = stackalloc int[3];
        Console.WriteLine(span.Length);
    }
}
