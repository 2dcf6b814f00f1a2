// The official consumer as a member of a group: prints what it is assigned, what it loses and what it reads.
//
//   java -cp "CLASSES:JARS/*" GroupMember BOOTSTRAP GROUP TOPIC,TOPIC [KEY=VALUE ...]
//
// Lines: "assigned" or "revoked", then TOPIC:PARTITION for each, separated by tabs; "record", then the record as
// Consume.java prints it; "closed" at the end. Commits what it read and leaves the group when stdin ends: also when
// whoever started it is gone.

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class GroupMember {
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
        settings.put("group.id", args[1]);
        settings.put("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor");
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "500");
        for (int i = 3; i < args.length; i++) {
            String[] setting = args[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        Thread end = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException gone) {
                // Whoever held the other end is gone: the same as an end.
            }
            consumer.wakeup();
        });
        end.setDaemon(true);
        end.start();
        try {
            consumer.subscribe(Arrays.asList(args[2].split(",")), new ConsumerRebalanceListener() {
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) { say("assigned", partitions); }
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) { say("revoked", partitions); }
            });
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(200));
                for (ConsumerRecord<byte[], byte[]> record : records) System.out.println("record\t" + line(record));
                if (!records.isEmpty()) consumer.commitSync();
            }
        } catch (WakeupException asked) {
            // stdin ended.
        } finally {
            consumer.close();
        }
        System.out.println("closed");
    }

    static void say(String what, Collection<TopicPartition> partitions) {
        String names = partitions.stream().map(p -> "\t" + p.topic() + ":" + p.partition()).sorted().collect(Collectors.joining());
        System.out.println(what + names);
    }

    static String line(ConsumerRecord<byte[], byte[]> record) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add(hex(header.key().getBytes(StandardCharsets.UTF_8)) + "=" + hex(header.value()));
        }
        return String.join("\t", record.topic(), Integer.toString(record.partition()), Long.toString(record.offset()),
                Long.toString(record.timestamp()), "-", hex(record.key()), hex(record.value()), String.join(",", headers));
    }

    static String hex(byte[] bytes) {
        if (bytes == null) return "-";
        StringBuilder text = new StringBuilder();
        for (byte b : bytes) text.append(String.format("%02x", b));
        return text.toString();
    }
}
