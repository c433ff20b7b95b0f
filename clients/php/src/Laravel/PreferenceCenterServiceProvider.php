<?php

declare(strict_types=1);

namespace PreferenceCenter\Client\Laravel;

use Illuminate\Contracts\Cache\Repository as Cache;
use Illuminate\Contracts\Config\Repository as Config;
use Illuminate\Contracts\Container\Container;
use Illuminate\Contracts\Events\Dispatcher;
use Illuminate\Mail\Events\MessageSending;
use Illuminate\Support\ServiceProvider;
use PreferenceCenter\Client\Client;
use PreferenceCenter\Client\LinkMinter;
use PreferenceCenter\Client\PreferenceCenterError;
use Psr\Log\LoggerInterface;

/**
 * `Client` and `LinkMinter` for injection, and the question before each mail.
 *
 * An outage is remembered in the cache, so that it slows one request and not each.
 */
final class PreferenceCenterServiceProvider extends ServiceProvider
{
    private const CONFIG = __DIR__ . '/../../config/preference-center.php';

    public function register(): void
    {
        $this->mergeConfigFrom(self::CONFIG, 'preference-center');
        $this->app->singleton(Client::class, static function (Container $app): Client {
            $config = $app->make(Config::class)->get('preference-center');
            return new Client(
                (string) $config['url'],
                (string) $config['key'],
                serviceTypes: $config['service_types'],
                onUnanswered: static function (PreferenceCenterError $error, string $type) use ($app): void {
                    $app->make(LoggerInterface::class)->warning(
                        'The preference center did not decide',
                        ['message_type' => $type, 'error' => $error->getMessage()],
                    );
                },
                outage: new CachedOutage($app->make(Cache::class)),
            );
        });
        $this->app->singleton(LinkMinter::class, static function (Container $app): LinkMinter {
            return new LinkMinter((string) $app->make(Config::class)->get('preference-center.link_key'));
        });
    }

    public function boot(Config $config, Dispatcher $events): void
    {
        $this->publishes([self::CONFIG => $this->app->configPath('preference-center.php')]);
        if ($config->get('preference-center.check_mail')) {
            $events->listen(MessageSending::class, AskBeforeSending::class);
        }
    }
}
