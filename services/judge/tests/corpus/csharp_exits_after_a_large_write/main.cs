using System;
using System.Text;

class Program {
    static void Main() {
        var text = new StringBuilder();
        for (int line = 0; line < 524288; line++) text.Append("0123456789abcde\n");
        Console.Write(text.ToString());
        Environment.Exit(0);
    }
}
