//! The one shape of all operations: a struct of options that starts when it is awaited.

/// Declares an operation: the method of [`Admin`](super::Admin), the struct that it returns with a setter per option,
/// `within`, `wait` and `IntoFuture`.
macro_rules! op {
    (
        $(#[$about:meta])*
        $method:ident($($field:ident: $field_ty:ty = |$arg:ident: $arg_ty:ty| $make:expr),* $(,)?) -> $output:ty;
        $name:ident {
            flags { $($(#[$flag_doc:meta])* $flag:ident,)* }
            lists { $($(#[$list_doc:meta])* $list:ident: $list_ty:ty,)* }
            $(values { $($(#[$value_doc:meta])* $value:ident($given:ident: $given_ty:ty) = $turn:expr => $value_ty:ty,)* })?
        }
        |$op:ident| $start:expr
    ) => {
        impl $crate::admin::Admin {
            $(#[$about])*
            ///
            /// Starts when it is awaited; blocking: `.wait()`.
            pub fn $method(&self, $($arg: $arg_ty),*) -> $name {
                $name {
                    admin: self.clone(),
                    limit: None,
                    $($field: $make,)*
                    $($flag: false,)*
                    $($list: Vec::new(),)*
                    $($($value: None,)*)?
                }
            }
        }

        #[doc = concat!("The operation of [`Admin::", stringify!($method), "`](crate::admin::Admin::", stringify!($method),
            "): chain options, then `.await` it or [`wait`](Self::wait) for it.")]
        ///
        /// # Cancel safety
        /// Before it is awaited it has not begun. Afterwards, dropping it ends the waiting, never the work.
        #[must_use = "it starts when it is awaited: `.await` or `.wait()`"]
        #[derive(Clone, Debug)]
        pub struct $name {
            admin: $crate::admin::Admin,
            limit: Option<std::time::Duration>,
            $($field: $field_ty,)*
            $($flag: bool,)*
            $($list: Vec<$list_ty>,)*
            $($($value: Option<$value_ty>,)*)?
        }

        impl $name {
            $(
                $(#[$flag_doc])*
                pub fn $flag(mut self, on: bool) -> Self {
                    self.$flag = on;
                    self
                }
            )*
            $(
                $(#[$list_doc])*
                pub fn $list(mut self, only: impl IntoIterator<Item = $list_ty>) -> Self {
                    self.$list = only.into_iter().collect();
                    self
                }
            )*
            $($(
                $(#[$value_doc])*
                pub fn $value(mut self, $given: $given_ty) -> Self {
                    self.$value = Some($turn);
                    self
                }
            )*)?

            /// Limits the operation, from its start, instead of `default.api.timeout.ms`.
            #[doc(alias = "timeoutMs")]
            pub fn within(mut self, limit: std::time::Duration) -> Self {
                self.limit = Some(limit);
                self
            }

            /// Starts it and parks this thread until it is over.
            ///
            /// # Errors
            /// See [`Op::wait`](crate::Op::wait).
            pub fn wait(self) -> $crate::Result<$output> {
                std::future::IntoFuture::into_future(self).wait()
            }
        }

        impl std::future::IntoFuture for $name {
            type Output = $crate::Result<$output>;
            type IntoFuture = $crate::Op<$output>;
            fn into_future(self) -> Self::IntoFuture {
                let $op = self;
                $start
            }
        }
    };
}
