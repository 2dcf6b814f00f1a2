//! Keys of TLS and SASL: all known, none supported yet. None of them may be overlooked: see `check`.

use super::{Alias, Key, Kind, Range, Section, Status};

macro_rules! keys {
    ($( $name:literal $kind:ident $default:tt $([ $($refine:tt)* ])?; )*) => {
        &[ $(
            Key::new($name, Kind::$kind)
                .default(default_of!($default))
                .placed(Section::Client, "")
                .status(Status::Security)
                $($($refine)*)?,
        )* ]
    };
}

pub(super) const KEYS: &[Key] = keys! {
    "sasl.client.callback.handler.class" Class none;
    "sasl.jaas.config" Password none;
    "sasl.kerberos.kinit.cmd" Text "/usr/bin/kinit";
    "sasl.kerberos.min.time.before.relogin" Long "60000";
    "sasl.kerberos.service.name" Text none;
    "sasl.kerberos.ticket.renew.jitter" Double "0.05";
    "sasl.kerberos.ticket.renew.window.factor" Double "0.8";
    "sasl.login.callback.handler.class" Class none;
    "sasl.login.class" Class none;
    "sasl.login.connect.timeout.ms" Int none;
    "sasl.login.read.timeout.ms" Int none;
    "sasl.login.refresh.buffer.seconds" Short "300" [.range(Range::Whole(0, 3600))];
    "sasl.login.refresh.min.period.seconds" Short "60" [.range(Range::Whole(0, 900))];
    "sasl.login.refresh.window.factor" Double "0.8" [.range(Range::Real(0.5, 1.0))];
    "sasl.login.refresh.window.jitter" Double "0.05" [.range(Range::Real(0.0, 0.25))];
    "sasl.login.retry.backoff.max.ms" Long "10000";
    "sasl.login.retry.backoff.ms" Long "100";
    "sasl.mechanism" Text "GSSAPI" [.aliases(&[Alias::of("sasl.mechanisms")])];
    "sasl.oauthbearer.allow.unverified.audience" Bool "false";
    "sasl.oauthbearer.allow.unverified.issuer" Bool "false";
    "sasl.oauthbearer.assertion.algorithm" Text "RS256" [.words(&["rs256", "es256"])];
    "sasl.oauthbearer.assertion.claim.aud" Text none;
    "sasl.oauthbearer.assertion.claim.exp.seconds" Int "300" [.range(Range::Whole(0, 86_400))];
    "sasl.oauthbearer.assertion.claim.iss" Text none;
    "sasl.oauthbearer.assertion.claim.jti.include" Bool "false";
    "sasl.oauthbearer.assertion.claim.nbf.seconds" Int "60" [.range(Range::Whole(0, 3600))];
    "sasl.oauthbearer.assertion.claim.sub" Text none;
    "sasl.oauthbearer.assertion.file" Text none;
    "sasl.oauthbearer.assertion.private.key.file" Text none;
    "sasl.oauthbearer.assertion.private.key.passphrase" Password none;
    "sasl.oauthbearer.assertion.template.file" Text none;
    "sasl.oauthbearer.client.credentials.client.id" Text none [.aliases(&[Alias::of("sasl.oauthbearer.client.id")])];
    "sasl.oauthbearer.client.credentials.client.secret" Password none [.aliases(&[Alias::of("sasl.oauthbearer.client.secret")])];
    "sasl.oauthbearer.clock.skew.seconds" Int "30";
    "sasl.oauthbearer.expected.audience" List "";
    "sasl.oauthbearer.expected.issuer" Text none;
    "sasl.oauthbearer.header.urlencode" Bool "false";
    "sasl.oauthbearer.jwks.endpoint.refresh.ms" Long "3600000";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" Long "10000";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" Long "100";
    "sasl.oauthbearer.jwks.endpoint.url" Text none;
    "sasl.oauthbearer.jwt.retriever.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever";
    "sasl.oauthbearer.jwt.validator.class" Class "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator";
    "sasl.oauthbearer.scope" Text none;
    "sasl.oauthbearer.scope.claim.name" Text "scope";
    "sasl.oauthbearer.sub.claim.name" Text "sub";
    "sasl.oauthbearer.token.endpoint.url" Text none;
    "ssl.cipher.suites" List "";
    "ssl.enabled.protocols" List "TLSv1.2,TLSv1.3";
    "ssl.endpoint.identification.algorithm" Text "https";
    "ssl.engine.factory.class" Class none;
    "ssl.key.password" Password none;
    "ssl.keymanager.algorithm" Text "SunX509";
    "ssl.keystore.certificate.chain" Password none;
    "ssl.keystore.key" Password none;
    "ssl.keystore.location" Text none;
    "ssl.keystore.password" Password none;
    "ssl.keystore.type" Text "JKS";
    "ssl.protocol" Text "TLSv1.3";
    "ssl.provider" Text none;
    "ssl.secure.random.implementation" Text none;
    "ssl.trustmanager.algorithm" Text "PKIX";
    "ssl.truststore.certificates" Password none;
    "ssl.truststore.location" Text none;
    "ssl.truststore.password" Password none;
    "ssl.truststore.type" Text "JKS";
    "sasl.username" Text none [.librdkafka()];
    "sasl.password" Password none [.librdkafka()];
    "sasl.oauthbearer.config" Password none [.librdkafka()];
    "sasl.oauthbearer.method" Text none [.librdkafka()];
    "sasl.oauthbearer.extensions" Text none [.librdkafka()];
    "enable.sasl.oauthbearer.unsecure.jwt" Bool none [.librdkafka()];
    "ssl.ca.location" Text none [.librdkafka()];
    "ssl.ca.pem" Text none [.librdkafka()];
    "ssl.ca.certificate.stores" Text none [.librdkafka()];
    "ssl.certificate.location" Text none [.librdkafka()];
    "ssl.certificate.pem" Text none [.librdkafka()];
    "ssl.key.location" Text none [.librdkafka()];
    "ssl.key.pem" Password none [.librdkafka()];
    "ssl.curves.list" Text none [.librdkafka()];
    "ssl.sigalgs.list" Text none [.librdkafka()];
    "ssl.crl.location" Text none [.librdkafka()];
    "ssl.providers" Text none [.librdkafka()];
    "ssl.engine.id" Text none [.librdkafka()];
    "ssl.engine.location" Text none [.librdkafka()];
    "enable.ssl.certificate.verification" Bool none [.librdkafka()];
};
