import java.nio.charset.StandardCharsets;
import java.util.LinkedHashSet;
import java.util.HexFormat;
import java.util.Random;
import java.util.Set;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/**
 * Prints murmur2.tsv: keys with the hash and the partitions that Kafka's own Java client gives them.
 *
 * Run with kafka-clients 4.1.0 and slf4j-api on the class path:
 *   java -cp "JARS/*" tests/vectors/Murmur2Vectors.java > tests/vectors/murmur2.tsv
 */
public class Murmur2Vectors {
    private static final int[] COUNTS = {1, 2, 3, 6, 7, 12, 31, 64, 100, 1021, 200_000};

    public static void main(String[] args) {
        StringBuilder out = new StringBuilder("# key (hex)\tmurmur2 (signed)");
        for (int count : COUNTS) {
            out.append('\t').append(count);
        }
        for (String hex : keys()) {
            byte[] key = HexFormat.of().parseHex(hex);
            out.append('\n').append(hex).append('\t').append(Utils.murmur2(key));
            for (int count : COUNTS) {
                out.append('\t').append(BuiltInPartitioner.partitionForKey(key, count));
            }
        }
        System.out.println(out);
    }

    private static Set<String> keys() {
        Set<String> keys = new LinkedHashSet<>();
        HexFormat hex = HexFormat.of();
        keys.add("");
        for (int b = 0; b < 256; b++) {
            keys.add(hex.formatHex(new byte[] {(byte) b}));
        }
        for (int length = 1; length <= 40; length++) {
            byte[] same = new byte[length];
            keys.add(hex.formatHex(same));
            java.util.Arrays.fill(same, (byte) 0xff);
            keys.add(hex.formatHex(same));
        }
        String[] words = {"21", "foobar", "a-little-bit-long-string", "order/1", "\u00e9t\u00e9",
            "Stra\u00dfe", "\u65e5\u672c\u8a9e", "\u0416\u0423\u041a", "\ud83d\ude80\ud83e\udd80", "\u0000"};
        for (String word : words) {
            keys.add(hex.formatHex(word.getBytes(StandardCharsets.UTF_8)));
            keys.add(hex.formatHex(word.getBytes(StandardCharsets.UTF_16LE)));
        }
        for (int number = 0; number < 300; number++) {
            keys.add(hex.formatHex(("user-" + number * 7919).getBytes(StandardCharsets.US_ASCII)));
        }
        Random random = new Random(20_24);
        for (int length = 1; length <= 40; length++) {
            for (int sample = 0; sample < 20; sample++) {
                byte[] key = new byte[length];
                random.nextBytes(key);
                keys.add(hex.formatHex(key));
            }
        }
        return keys;
    }
}
