import java.sql.*;
import java.util.*;
import java.util.logging.Level;

public class Main {
    public static void main(String[] arguments) throws java.rmi.RemoteException {
        Scanner in = new Scanner(System.in);
        // Also a class of java.util.
        java.sql.Date date = java.sql.Date.valueOf("1970-01-" + (in.nextInt() + in.nextInt() - 30));
        System.out.println(date + " " + new Timestamp(0).getNanos() + " " + Level.INFO);
    }
}
