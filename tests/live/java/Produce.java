// The official producer as a peer: writes the records that stdin describes, one a line, and prints where each went.
//
//   java -cp "CLASSES:JARS/*" Produce BOOTSTRAP [KEY=VALUE ...] < records
//
// A line: topic, partition, offset, timestamp, codec, key, value, headers, separated by tabs. "-" stands for what is
// not given (partition, timestamp) or null (key, value); bytes are hexadecimal; headers are name=value pairs separated
// by commas, the name in hexadecimal too. The offset is ignored on the way in and filled in on the way out.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Produce {
    public static void main(String[] args) {
        try {
            run(args);
        } catch (Throwable failure) {
            // Not left to the launcher: it loses some exceptions while it shortens their stack.
            failure.printStackTrace();
            System.exit(1);
        }
    }

    static void run(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("acks", "all");
        settings.put("delivery.timeout.ms", "30000");
        settings.put("request.timeout.ms", "10000");
        for (int i = 1; i < args.length; i++) {
            String[] setting = args[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        Map<String, KafkaProducer<byte[], byte[]>> producers = new TreeMap<>();
        List<String[]> lines = new ArrayList<>();
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        String codec = null;
        for (String line; (line = in.readLine()) != null; ) {
            if (line.isEmpty()) continue;
            String[] field = line.split("\t", -1);
            // One producer has one codec: the next one waits until all before it are written.
            if (codec != null && !codec.equals(field[4])) producers.get(codec).flush();
            codec = field[4];
            sent.add(producers.computeIfAbsent(codec, name -> producer(settings, name)).send(record(field)));
            lines.add(field);
        }
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (int i = 0; i < sent.size(); i++) {
            RecordMetadata at = sent.get(i).get();
            String[] field = lines.get(i);
            field[1] = Integer.toString(at.partition());
            field[2] = Long.toString(at.offset());
            field[3] = Long.toString(at.timestamp());
            out.println(String.join("\t", field));
        }
        producers.values().forEach(KafkaProducer::close);
        out.flush();
    }

    static KafkaProducer<byte[], byte[]> producer(Properties settings, String codec) {
        Properties own = new Properties();
        own.putAll(settings);
        own.put("compression.type", codec);
        return new KafkaProducer<>(own, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static ProducerRecord<byte[], byte[]> record(String[] field) {
        RecordHeaders headers = new RecordHeaders();
        if (!field[7].isEmpty()) {
            for (String pair : field[7].split(",", -1)) {
                String[] header = pair.split("=", -1);
                headers.add(new String(bytes(header[0]), StandardCharsets.UTF_8), bytes(header[1]));
            }
        }
        Integer partition = field[1].equals("-") ? null : Integer.valueOf(field[1]);
        Long timestamp = field[3].equals("-") ? null : Long.valueOf(field[3]);
        return new ProducerRecord<>(field[0], partition, timestamp, bytes(field[5]), bytes(field[6]), headers);
    }

    static byte[] bytes(String hex) {
        if (hex.equals("-")) return null;
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        return bytes;
    }
}
