# needs: javac java
# timeout: 300
exec 2>&1
cat > N.java <<'END'
import java.io.*; import java.net.*; import java.net.http.*; import java.nio.*; import java.nio.channels.*; import com.sun.net.httpserver.*;
public class N { public static void main(String[] a) throws Exception {
  try (ServerSocket s = new ServerSocket(0, 5, InetAddress.getByName("127.0.0.1"))) { Thread t = new Thread(() -> { try (Socket c = s.accept()) { c.getInputStream().transferTo(c.getOutputStream()); } catch (IOException e) { System.out.println(e); } }); t.start();
    try (Socket c = new Socket("127.0.0.1", s.getLocalPort())) { c.setTcpNoDelay(true); c.getOutputStream().write(new byte[100000]); c.shutdownOutput(); System.out.println(c.getInputStream().readAllBytes().length); } t.join(); }
  HttpServer h = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0); h.createContext("/", x -> { byte[] b = ("hello " + x.getRequestURI()).getBytes(); x.sendResponseHeaders(200, b.length); x.getResponseBody().write(b); x.close(); }); h.start();
  HttpResponse<String> r = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + h.getAddress().getPort() + "/x")).build(), HttpResponse.BodyHandlers.ofString()); System.out.println(r.statusCode() + " " + r.body()); h.stop(0);
  Selector sel = Selector.open(); ServerSocketChannel sc = ServerSocketChannel.open().bind(new InetSocketAddress("127.0.0.1", 0)); sc.configureBlocking(false); sc.register(sel, SelectionKey.OP_ACCEPT); SocketChannel cl = SocketChannel.open(sc.getLocalAddress()); System.out.println(sel.select(5000)); SocketChannel sv = sc.accept(); cl.write(ByteBuffer.wrap("nio".getBytes())); ByteBuffer b = ByteBuffer.allocate(10); System.out.println(sv.read(b));
  DatagramSocket d = new DatagramSocket(0, InetAddress.getByName("127.0.0.1")); d.send(new DatagramPacket("udp".getBytes(), 3, d.getLocalAddress(), d.getLocalPort())); DatagramPacket p = new DatagramPacket(new byte[10], 10); d.receive(p); System.out.println(new String(p.getData(), 0, p.getLength()));
  try { new Socket("127.0.0.1", 1); } catch (ConnectException e) { System.out.println("refused"); } System.exit(0); } }
END
javac N.java && java N; echo $?
