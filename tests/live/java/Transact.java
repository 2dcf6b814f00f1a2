// The official transactional producer as a peer: does what stdin says, and prints where each record went.
//
//   java -cp "CLASSES:JARS/*" Transact BOOTSTRAP TRANSACTIONAL_ID [KEY=VALUE ...] < lines
//
// A line is "record TOPIC PARTITION VALUE", "offset GROUP TOPIC PARTITION OFFSET", "commit", "abort", or "leave", which
// ends the program in the middle of whatever is open. Transactions begin by themselves. The codec is the setting's.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

public class Transact {
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
        settings.put("transactional.id", args[1]);
        settings.put("delivery.timeout.ms", "30000");
        settings.put("request.timeout.ms", "10000");
        settings.put("max.block.ms", "30000");
        for (int i = 2; i < args.length; i++) {
            String[] setting = args[i].split("=", 2);
            settings.put(setting[0], setting[1]);
        }
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            producer.initTransactions();
            boolean open = false;
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (String line; (line = in.readLine()) != null; ) {
                String[] field = line.split(" ", -1);
                if (field[0].equals("leave")) {
                    for (Future<RecordMetadata> one : sent) one.get();
                    System.out.flush();
                    Runtime.getRuntime().halt(0);
                }
                if (!open) producer.beginTransaction();
                open = true;
                switch (field[0]) {
                    case "record" -> sent.add(producer.send(new ProducerRecord<>(field[1], Integer.valueOf(field[2]), null, field[3])));
                    case "offset" -> producer.sendOffsetsToTransaction(
                            Map.of(new TopicPartition(field[2], Integer.parseInt(field[3])), new OffsetAndMetadata(Long.parseLong(field[4]))),
                            new ConsumerGroupMetadata(field[1]));
                    case "commit" -> {
                        producer.commitTransaction();
                        open = false;
                    }
                    case "abort" -> {
                        // Else the records that were not sent yet are dropped, and nothing is aborted in the log.
                        producer.flush();
                        producer.abortTransaction();
                        open = false;
                    }
                    default -> throw new IllegalArgumentException(line);
                }
            }
            for (Future<RecordMetadata> one : sent) {
                RecordMetadata at = one.get();
                System.out.println(at.topic() + " " + at.partition() + " " + at.offset());
            }
        }
    }
}
