using System;
using System.Text;

class Program {
    static void Main() {
        Console.OutputEncoding = Encoding.UTF8;
        Console.InputEncoding = Encoding.UTF8;
        Console.WriteLine("gr\u00fc\u00df" + Console.ReadLine());
    }
}
