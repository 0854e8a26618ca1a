using System;
using System.Threading;

class Program {
    static int Depth(int left) { return left == 0 ? 0 : Depth(left - 1) + 1; }

    static void Main() {
        var thread = new Thread(() => Console.WriteLine(Depth(1000000)), 128 << 20);
        thread.Start();
        thread.Join();
    }
}
