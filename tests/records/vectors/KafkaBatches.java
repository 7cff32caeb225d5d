/*
 * Rebuilds a batch of records with Kafka's own Java encoder, one file for each codec named:
 *
 *   java -cp <jars>:. KafkaBatches write plain.batch <folder> gzip snappy lz4 zstd gzip:9 zstd:-5
 *
 * or prints what Kafka's own reader finds in a file of batches:
 *
 *   java -cp <jars>:. KafkaBatches read ours.batch
 *
 * The batches beside this file came from plain.batch = build_batch(every_shape()) and the jars
 * kafka-clients 4.4.0, lz4-java 1.11.2, snappy-java 1.1.10.7, zstd-jni 1.5.7-17.
 */
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;

public final class KafkaBatches {
    static String hex(ByteBuffer b) {
        if (b == null) return "-";
        byte[] a = new byte[b.remaining()];
        b.duplicate().get(a);
        return "x" + HexFormat.of().formatHex(a);
    }

    public static void main(String[] args) throws Exception {
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[1])));
        MemoryRecords records = MemoryRecords.readableRecords(in);
        if (args[0].equals("read")) {
            StringBuilder out = new StringBuilder();
            for (MutableRecordBatch batch : records.batches()) {
                batch.ensureValid();
                for (Record r : batch) {
                    out.append(r.offset()).append(' ').append(r.timestamp()).append(' ').append(hex(r.key())).append(' ').append(hex(r.value()));
                    for (Header h : r.headers()) {
                        out.append(' ').append(hex(ByteBuffer.wrap(h.key().getBytes("UTF-8")))).append('=').append(h.value() == null ? "-" : hex(ByteBuffer.wrap(h.value())));
                    }
                    out.append('\n');
                }
            }
            System.out.print(out);
            return;
        }
        for (String spec : Arrays.copyOfRange(args, 3, args.length)) {
            String[] parts = spec.split(":");
            Compression c;
            if (parts.length == 1) c = Compression.of(CompressionType.forName(parts[0])).build();
            else {
                int level = Integer.parseInt(parts[1]);
                c = switch (parts[0]) {
                    case "gzip" -> Compression.gzip().level(level).build();
                    case "lz4" -> Compression.lz4().level(level).build();
                    default -> Compression.zstd().level(level).build();
                };
            }
            MemoryRecordsBuilder b = MemoryRecords.builder(ByteBuffer.allocate(1 << 20), c, TimestampType.CREATE_TIME, 0L);
            for (MutableRecordBatch batch : records.batches())
                for (Record r : batch) b.appendWithOffset(r.offset(), r.timestamp(), r.key(), r.value(), r.headers());
            ByteBuffer built = b.build().buffer();
            byte[] a = new byte[built.remaining()];
            built.get(a);
            Files.write(Path.of(args[2], "java-" + spec.replace(':', '-') + ".batch"), a);
        }
    }
}
