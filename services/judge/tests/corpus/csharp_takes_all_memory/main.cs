using System.Collections.Generic;

class Program {
    static void Main() {
        var rows = new List<int[]>();
        while (true) {
            var row = new int[100000];
            for (int i = 0; i < row.Length; i++) row[i] = i;
            rows.Add(row);
        }
    }
}
