using System;
using System.IO;

class Program {
    static void Main() {
        Console.WriteLine("first");
        var input = new StreamReader("/dev/stdin").ReadToEnd();
        using (var output = new StreamWriter(new FileStream("/dev/stdout", FileMode.Open, FileAccess.Write))) output.Write(input);
        using (var output = new StreamWriter(new FileStream("/dev/stdout", FileMode.Open, FileAccess.Write))) output.Write("last\n");
        using (var errors = new StreamWriter(new FileStream("/dev/stderr", FileMode.Open, FileAccess.Write))) errors.Write("error\n");
    }
}
