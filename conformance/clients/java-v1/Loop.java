import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;

/** usage: who | loop SECONDS [PAUSE], as in ../loop.py. */
final class Loop {
    static void run(String[] args, String version, Callable<String> whoami) throws Exception {
        if (args[0].equals("who")) {
            System.out.println(whoami.call());
            return;
        }
        long pause = args.length > 2 ? (long) (Double.parseDouble(args[2]) * 1000) : 200;
        int calls = 0;
        List<String> errors = new ArrayList<>();
        Set<String> arns = new TreeSet<>();
        long due = System.nanoTime();
        long end = due + (long) (Double.parseDouble(args[1]) * 1e9);
        while (System.nanoTime() < end) {
            calls++;
            try {
                arns.add(quote(whoami.call()));
            } catch (Exception e) {
                errors.add(quote(e.toString()));
            }
            due = Math.max(due + pause * 1_000_000, System.nanoTime());
            Thread.sleep(Math.max(0, due - System.nanoTime()) / 1_000_000);
        }
        System.out.printf("{\"version\": %s, \"calls\": %d, \"errors\": %s, \"arns\": %s}%n", quote(version), calls, errors, arns);
    }

    private static String quote(String s) {
        return '"' + s.replaceAll("[\\\\\"\\p{Cntrl}]", "'") + '"';
    }
}
