// The official admin client as a peer: sets a feature of the cluster to a level, down if need be.
//
//   java -cp 'JARS/*' Feature.java BOOTSTRAP NAME LEVEL

import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.FinalizedVersionRange;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;

public class Feature {
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
        short level = Short.parseShort(args[2]);
        try (Admin admin = Admin.create(settings)) {
            FinalizedVersionRange now = admin.describeFeatures().featureMetadata().get().finalizedFeatures().get(args[1]);
            if (now != null && now.maxVersionLevel() == level) return;
            boolean up = now == null || now.maxVersionLevel() < level;
            FeatureUpdate.UpgradeType way = up ? FeatureUpdate.UpgradeType.UPGRADE : FeatureUpdate.UpgradeType.SAFE_DOWNGRADE;
            admin.updateFeatures(Map.of(args[1], new FeatureUpdate(level, way)), new UpdateFeaturesOptions()).all().get();
        }
    }
}
