namespace Any.Name {
    internal static class Zed {
        private static int Main(string[] arguments) {
            System.Console.WriteLine(arguments.Length);
            return 3;
        }
    }
}
