// What the official client says about its own configuration; run as a single file by tests/parity/tests/config.rs.
// Works against kafka-clients 2.5 and later. One line per answer, fields separated by tabs; texts go in and out in hex.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.protocol.Errors;

public class ConfigFacts {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        switch (args[0]) {
            case "definitions":
                for (String role : new String[] {"producer", "consumer", "admin"}) definitions(role);
                break;
            case "errors":
                for (Errors error : Errors.values()) {
                    boolean retriable = error.exception() instanceof org.apache.kafka.common.errors.RetriableException;
                    System.out.println(error.code() + "\t" + error.name() + "\t" + retriable);
                }
                break;
            default:
                for (String line = in.readLine(); line != null; line = in.readLine()) {
                    String[] fields = line.split("\t", -1);
                    switch (args[0]) {
                        case "probe": probe(fields); break;
                        case "rules": rules(fields); break;
                        case "properties": properties(fields); break;
                        default: throw new IllegalArgumentException(args[0]);
                    }
                }
        }
    }

    static ConfigDef of(String role) {
        switch (role) {
            case "producer": return ProducerConfig.configDef();
            case "consumer": return ConsumerConfig.configDef();
            default: return AdminClientConfig.configDef();
        }
    }

    // role, key, type, default (hex, or - for none)
    static void definitions(String role) {
        for (ConfigDef.ConfigKey key : new TreeMap<>(of(role).configKeys()).values()) {
            boolean none = key.defaultValue == ConfigDef.NO_DEFAULT_VALUE || key.defaultValue == null;
            String value = none ? "-" : hex(ConfigDef.convertToString(key.defaultValue, key.type));
            System.out.println(role + "\t" + key.name + "\t" + key.type + "\t" + value);
        }
    }

    // in: role, key, value (hex); out: true if the definition takes the value
    static void probe(String[] fields) {
        ConfigDef.ConfigKey key = of(fields[0]).configKeys().get(fields[1]);
        boolean taken = true;
        try {
            Object value = ConfigDef.parseType(key.name, text(fields[2]), key.type);
            if (key.validator != null) key.validator.ensureValid(key.name, value);
        } catch (Exception refused) {
            taken = false;
        }
        System.out.println(taken);
    }

    // in: role, then key=value (hex) ...; out: true if a client can be made
    static void rules(String[] fields) {
        Map<String, Object> map = new HashMap<>();
        map.put("bootstrap.servers", "127.0.0.1:9");
        boolean producer = fields[0].equals("producer");
        String serialization = "org.apache.kafka.common.serialization.ByteArray";
        for (String side : new String[] {"key", "value"}) {
            map.put(side + (producer ? ".serializer" : ".deserializer"), serialization + (producer ? "Serializer" : "Deserializer"));
        }
        for (int i = 1; i < fields.length; i++) {
            String pair = text(fields[i]);
            int at = pair.indexOf('=');
            map.put(pair.substring(0, at), pair.substring(at + 1));
        }
        String out = "true";
        try {
            if (producer) {
                ProducerConfig config = new ProducerConfig(map);
                out += "\t" + config.getBoolean("enable.idempotence");
                new KafkaProducer<byte[], byte[]>(map).close(Duration.ZERO);
            } else {
                ConsumerConfig config = new ConsumerConfig(map);
                out += "\t" + config.getBoolean("enable.auto.commit");
                new KafkaConsumer<byte[], byte[]>(map).close();
            }
        } catch (Exception refused) {
            out = "false";
        }
        System.out.println(out);
    }

    // in: text (hex); out: key, value, key, value ... (hex), or "malformed"
    static void properties(String[] fields) throws Exception {
        Properties read = new Properties();
        try {
            read.load(new StringReader(text(fields[0])));
        } catch (IllegalArgumentException malformed) {
            System.out.println("malformed");
            return;
        }
        StringBuilder out = new StringBuilder("read");
        for (String name : new TreeMap<Object, Object>(read).keySet().toArray(new String[0])) {
            out.append('\t').append(hex(name)).append('\t').append(hex(read.getProperty(name)));
        }
        System.out.println(out);
    }

    static String text(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static String hex(String text) {
        StringBuilder out = new StringBuilder();
        for (byte b : text.getBytes(StandardCharsets.UTF_8)) out.append(String.format("%02x", b));
        return out.toString();
    }
}
