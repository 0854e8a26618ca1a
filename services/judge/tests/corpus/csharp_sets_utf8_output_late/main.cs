using System;
using System.Text;

class Program {
    static void Main() {
        Console.WriteLine("a");
        Console.OutputEncoding = new UTF8Encoding(true);
        Console.WriteLine("b");
        Console.InputEncoding = Encoding.UTF8;
        Console.WriteLine("c");
    }
}
