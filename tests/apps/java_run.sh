# needs: javac java
# timeout: 300
exec 2>&1
cat > A.java <<'END'
import java.nio.file.*; import java.util.*; import java.util.concurrent.*; import java.util.stream.*;
public class A { public static void main(String[] a) throws Exception {
  System.out.println(IntStream.range(0, 100).filter(x -> x % 7 == 0).boxed().collect(Collectors.toList())); ExecutorService e = Executors.newFixedThreadPool(4); List<Future<Integer>> f = new ArrayList<>(); for (int i = 0; i < 8; i++) { int n = i; f.add(e.submit(() -> n * n)); } int s = 0; for (var x : f) s += x.get(); System.out.println(s); e.shutdown();
  Files.writeString(Path.of("out.txt"), "written"); System.out.println(Files.readString(Path.of("out.txt"))); Process p = new ProcessBuilder("echo", "child").start(); System.out.print(new String(p.getInputStream().readAllBytes())); System.out.println(p.waitFor());
  byte[][] g = new byte[200][]; for (int i = 0; i < 2000; i++) g[i % 200] = new byte[100000]; System.gc(); System.out.println("gc"); try { Object o = null; o.toString(); } catch (NullPointerException x) { System.out.println("npe"); } try { r(0); } catch (StackOverflowError x) { System.out.println("overflow"); } System.exit(4); }
  static int r(int n) { return r(n + 1) + 1; } }
END
javac A.java && java A; echo $?; echo 'public class B { public static void main(String[] a) { System.out.println("single file " + a.length); } }' > B.java; java B.java x y
