class Program {
    static void Main() {
        System.Console.Error.WriteLine("System.OutOfMemoryException: no");
        throw new System.Exception("System.OutOfMemoryException");
    }
}
