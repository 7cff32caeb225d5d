import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Java's KafkaProducer: jobs in and results out as JSON, one object a line, as the other drivers. */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int POOL_BYTES = 2_000_000;
    private static final int POOL_LIMIT = 20_000;

    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            try {
                out.println(JSON.writeValueAsString(throughput(JSON.readTree(line))));
            } catch (Exception error) {
                out.println(JSON.writeValueAsString(JSON.createObjectNode()
                    .put("error", String.valueOf(error))));
            }
        }
    }

    /** Sends everything with a callback for each record; connecting is not timed. */
    private static JsonNode throughput(JsonNode job) throws Exception {
        int count = job.get("count").asInt();
        String topic = job.get("topic").asText();
        byte[][] values = pool(job.get("size").asInt());
        AtomicLong done = new AtomicLong();
        AtomicLong offsets = new AtomicLong();
        AtomicLong failed = new AtomicLong();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(
                options(job), new ByteArraySerializer(), new ByteArraySerializer())) {
            producer.send(new ProducerRecord<>(topic, values[0])).get();
            long cpu = cpu();
            long began = System.nanoTime();
            for (int number = 0; number < count; number++) {
                producer.send(
                    new ProducerRecord<>(topic, values[number % values.length]),
                    (metadata, error) -> {
                        if (error != null) {
                            failed.incrementAndGet();
                            return;
                        }
                        // One thread calls back, so plain writes would do; these are cheap.
                        offsets.lazySet(offsets.getPlain() + metadata.offset());
                        done.lazySet(done.getPlain() + 1);
                    });
            }
            producer.flush();
            return JSON.createObjectNode()
                .put("seconds", (System.nanoTime() - began) / 1e9)
                .put("cpu", (cpu() - cpu) / 1e9)
                .put("acknowledged", done.get())
                .put("failed", failed.get())
                .put("extra", 1);
        }
    }

    private static Properties options(JsonNode job) {
        JsonNode wanted = job.get("settings");
        String codec = wanted.get("codec").asText();
        Properties found = new Properties();
        found.put("bootstrap.servers", job.get("bootstrap_servers").asText());
        found.put("acks", wanted.get("acks").asText());
        found.put("enable.idempotence", wanted.get("idempotence").asBoolean());
        found.put("linger.ms", wanted.get("linger_ms").asText());
        found.put("batch.size", wanted.get("batch_size").asText());
        found.put("max.request.size", wanted.get("max_request_size").asText());
        if (!wanted.get("in_flight").isNull()) {
            found.put("max.in.flight.requests.per.connection", wanted.get("in_flight").asText());
        }
        found.put("buffer.memory", wanted.get("buffer_bytes").asText());
        found.put("compression.type", codec);
        if (!wanted.get("level").isNull()) {
            found.put("compression." + codec + ".level", wanted.get("level").asText());
        }
        return found;
    }

    /** Different values that compress like text does. */
    private static byte[][] pool(int size) {
        Random chance = new Random(size);
        String letters = "etaoinshrdlu";
        StringBuilder[] words = new StringBuilder[500];
        for (int number = 0; number < words.length; number++) {
            words[number] = new StringBuilder();
            for (int left = 2 + chance.nextInt(8); left > 0; left--) {
                words[number].append(letters.charAt(chance.nextInt(letters.length())));
            }
        }
        byte[][] values = new byte[Math.max(32, Math.min(POOL_LIMIT, POOL_BYTES / size))][];
        StringBuilder text = new StringBuilder();
        for (int number = 0; number < values.length; number++) {
            while (text.length() < size) {
                text.append(words[chance.nextInt(words.length)]).append(' ');
            }
            values[number] = text.substring(0, size).getBytes(StandardCharsets.US_ASCII);
            text.delete(0, size);
        }
        return values;
    }

    private static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean)
            ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }
}
