using System.Threading.Tasks;

class Program {
    static async Task Main() {
        await Task.Delay(1);
    }
}
